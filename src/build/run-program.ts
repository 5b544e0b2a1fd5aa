/** Running the helper programs that settings name: hooks before and after a build, and for differences. */
import { spawn, spawnSync } from "node:child_process";
import { SiloError } from "../error.ts";
import { type ByteString, decodeBytes, fromText, toText } from "../formats/byte-string.ts";
import { LogLines } from "./log-lines.ts";
import { printExit } from "./print-exit.ts";

export class ProgramFailed extends SiloError {
  readonly code = "program-failed";
  constructor(
    readonly program: string,
    readonly reason: string,
  ) {
    super(`program '${program}' ${reason}`);
  }
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** Instead of ours. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const maxOutput = 16 * 1024 * 1024;

/** What it prints on standard output. @throws ProgramFailed */
export function runProgramSync(program: string, args: readonly string[], options: ProgramOptions): ByteString {
  const result = spawnSync(toText(program), args.map(toText), {
    ...options,
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: maxOutput,
  });
  if (result.error !== undefined) throw new ProgramFailed(program, `cannot be run: ${fromText(result.error.message)}`);
  if (result.status !== 0) throw new ProgramFailed(program, printExit(result.status ?? undefined, result.signal));
  return decodeBytes(result.stdout);
}

/** Resolves when it has ended well. @param onLine told of what it prints @throws ProgramFailed (rejects) */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions,
  onLine: (line: ByteString) => void,
): Promise<void> {
  const lines = new LogLines(onLine);
  await new Promise<void>((resolve, reject) => {
    const child = spawn(toText(program), args.map(toText), { ...options, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.on("data", (chunk: Buffer) => lines.feed(chunk));
    child.stderr.on("data", (chunk: Buffer) => lines.feed(chunk));
    child.on("error", (error) => reject(new ProgramFailed(program, `cannot be run: ${fromText(error.message)}`)));
    child.on("close", (status, signal) => {
      lines.finish();
      if (status === 0) resolve();
      else reject(new ProgramFailed(program, printExit(status ?? undefined, signal)));
    });
  });
}
