/** Builders as plain child processes, without isolation: for tests of the scheduler alone. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { toText } from "../../src/formats/byte-string.ts";
import type { BuilderExit, BuilderRunner } from "../../src/store/builder-runner.ts";

export const plainRunner: BuilderRunner = (spec, onLog) => {
  if (spec.program.kind !== "executable") throw new Error("the plain runner has no built-in builders");
  const { path, args } = spec.program;
  // One pipe for both, so that the order of what is written stays.
  const child = spawn("/bin/sh", ["-c", 'exec "$0" "$@" 2>&1', path, ...args].map(toText), {
    cwd: spec.buildDir,
    env: Object.fromEntries(Array.from(spec.env, ([name, value]) => [toText(name), toText(value)])),
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  child.stdout.on("data", (chunk: Buffer) => onLog(chunk));
  const exited = new Promise<BuilderExit>((resolve) => {
    child.on("error", (error) => resolve({ kind: "setup-failed", reason: error.message }));
    child.on("close", (status, signal) => {
      if (signal !== null) resolve({ kind: "signalled", signal: constants.signals[signal] });
      else if (status === 127 || status === 126) resolve({ kind: "setup-failed", reason: `executing '${path}': no` });
      else resolve({ kind: "exited", status: status ?? 1 });
    });
  });
  return {
    pid: child.pid ?? 0,
    exited,
    kill() {
      try {
        process.kill(-child.pid!, "SIGKILL");
      } catch {
        // It has ended meanwhile.
      }
    },
  };
};
