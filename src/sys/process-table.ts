/** Other processes as /proc shows them: proc_pid_stat(5). A process that ends meanwhile is simply not there. */
import { readSmallFile } from "./descriptor.ts";
import { readDirectory } from "./directory.ts";
import { tryLstat } from "./stat.ts";
import { isSystemError } from "./system-error.ts";

export interface ProcessStatus {
  readonly pid: number;
  readonly kind: "running" | "zombie";
  readonly group: number;
  readonly session: number;
}

/** The numbers of the processes that this process may see, ascending. @throws SystemError */
export function listProcesses(): number[] {
  return readDirectory("/proc").flatMap(({ name }) => (/^[0-9]+$/.test(name) ? [Number(name)] : []));
}

export function processStatus(pid: number): ProcessStatus | undefined {
  const stat = readOrUndefined(`/proc/${pid}/stat`)?.toString("latin1");
  if (stat === undefined) return undefined;
  // pid (name) state ppid pgrp session …; the name may hold parentheses and blanks.
  const [state, , group, session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    pid,
    kind: state === "Z" || state === "X" ? "zombie" : "running",
    group: Number(group),
    session: Number(session),
  };
}

/** The environment that a process was started with, as `NAME=value`; undefined when it may not be seen. */
export function initialEnvironment(pid: number): string[] | undefined {
  return readOrUndefined(`/proc/${pid}/environ`)?.toString("latin1").split("\0");
}

/** The user that a process runs as, or undefined when it is gone. */
export function ownerOf(pid: number): number | undefined {
  return tryLstat(`/proc/${pid}`)?.uid;
}

/** The number that the newest process or thread has got; they ascend, and begin again at the maximum. @throws SystemError */
export function newestProcess(): number {
  return Number(readSmallFile("/proc/loadavg", 256).toString("latin1").trim().split(" ").at(-1));
}

const maxFileSize = 4 * 1024 * 1024;

function readOrUndefined(path: string): Buffer | undefined {
  try {
    return readSmallFile(path, maxFileSize);
  } catch (error) {
    if (isSystemError(error, "ENOENT", "ESRCH", "EACCES", "EPERM", "EFBIG")) return undefined;
    throw error;
  }
}
