/** The limit of open files as this program was given it. Bun raises its own, for itself, to the greatest allowed. */
import { readSmallFile } from "./descriptor.ts";
import type { PlannedCall } from "./planned-calls.ts";
import { SystemError } from "./system-error.ts";

interface FileLimit {
  readonly soft: number;
  readonly hard: number;
}

const RLIMIT_NOFILE = 7;
const maxFileSize = 65536;

let calls: readonly PlannedCall[] | undefined;

/** Gives the limit back to a program: programs that close every possible descriptor take long over many. */
export function inheritFileLimit(): readonly PlannedCall[] {
  calls ??= planLimit(fileLimit("self"), fileLimit(String(process.ppid)));
  return calls;
}

/** A parent with the same hard limit has most likely passed its soft one on as well. */
function planLimit(own: FileLimit | undefined, parents: FileLimit | undefined): PlannedCall[] {
  if (own === undefined || parents?.hard !== own.hard || parents.soft >= own.soft) return [];
  const limit = Buffer.alloc(16); // struct rlimit64: soft, hard
  limit.writeBigUInt64LE(BigInt(parents.soft), 0);
  limit.writeBigUInt64LE(BigInt(own.hard), 8);
  return [{ call: "prlimit64", args: [0, RLIMIT_NOFILE, limit, 0], action: "setting the limit of open files" }];
}

function fileLimit(pid: string): FileLimit | undefined {
  try {
    const text = readSmallFile(`/proc/${pid}/limits`, maxFileSize).toString("latin1");
    const match = /^Max open files +([0-9]+) +([0-9]+)/m.exec(text);
    return match === null ? undefined : { soft: Number(match[1]), hard: Number(match[2]) };
  } catch (error) {
    if (error instanceof SystemError) return undefined; // no /proc, or no parent any more
    throw error;
  }
}
