/** Running a program and measuring it: wall time, processor time, and in a run of its own the peak of its memory. */
import { existsSync, readFileSync } from "node:fs";

export interface Command {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** A file for standard input; nothing when undefined. */
  readonly stdin?: string;
  /** A file for standard output; /dev/null when undefined. */
  readonly stdout?: string;
}

export interface Measurement {
  readonly wallMs: number;
  /** User and system time. */
  readonly cpuMs: number;
}

/** @throws an error with what the program printed, when it fails */
export function measure(command: Command): Measurement {
  const start = performance.now();
  const result = run(command, command.argv);
  const wallMs = performance.now() - start;
  return { wallMs, cpuMs: Number(result.resourceUsage.cpuTime.total) / 1000 };
}

/**
 * KiB. The kernel counts what a process was before exec, too, and that would be this program: GNU time, which is small,
 * starts the measured one. Undefined where it is not installed.
 */
export function measurePeakKib(command: Command): number | undefined {
  if (!isTimeInstalled) return undefined;
  const report = `${command.env["BENCH_DIR"]}/peak`;
  run(command, [timeProgram, "-o", report, "-f", "%M", ...command.argv]);
  return Number(readFileSync(report, "latin1").trim());
}

const timeProgram = "/usr/bin/time";
const isTimeInstalled = existsSync(timeProgram);

function run({ env, stdin, stdout }: Command, argv: readonly string[]) {
  const result = Bun.spawnSync([...argv], {
    env: { ...env },
    stdin: stdin === undefined ? "ignore" : Bun.file(stdin),
    stdout: stdout === undefined ? "ignore" : Bun.file(stdout),
    stderr: "pipe",
  });
  if (result.exitCode !== 0) throw new Error(`${argv.join(" ")}: ${result.stderr.toString()}`);
  return result;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
