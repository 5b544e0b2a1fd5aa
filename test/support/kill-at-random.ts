/** Killing a program at a random moment of its run. */
import { spawn } from "node:child_process";

export interface KillableRun {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** How often campaigns repeat: 10 times, or 100 when SILO_LONG is 1. */
export const campaignRounds = process.env["SILO_LONG"] === "1" ? 100 : 10;

/** Runs to the end; milliseconds that it took. Rejects when the program fails. */
export function timeRun(run: KillableRun): Promise<number> {
  const start = performance.now();
  return startRun(run).then(({ status, stderr }) => {
    if (status !== 0) throw new Error(`${run.argv.join(" ")} failed: ${stderr}`);
    return performance.now() - start;
  });
}

/** Runs and kills with SIGKILL after so many milliseconds; true when that came before the end. */
export function killAfter(run: KillableRun, delayMs: number): Promise<boolean> {
  return startRun(run, delayMs).then(({ status, stderr }) => {
    if (status !== null && status !== 0) throw new Error(`${run.argv.join(" ")} failed: ${stderr}`);
    return status === null;
  });
}

function startRun({ argv, env }: KillableRun, killMs?: number): Promise<{ status: number | null; stderr: string }> {
  const [program, ...args] = argv;
  const child = spawn(program!, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  const timer = killMs === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killMs);
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += String(chunk);
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status, stderr });
    });
  });
}
