/**
 * The builder runner: starts a builder in its sandbox or without one, delivers its log, and leaves nothing of it behind.
 */
import { SiloError } from "../error.ts";
import { toText } from "../formats/byte-string.ts";
import type { BuilderExit, BuilderRunner, BuilderSpec, RunningBuilder } from "../store/builder-runner.ts";
import { SandboxImpossible } from "./impossible.ts";
import { startAttempt, type AttemptOptions, type Attempt } from "./attempt.ts";
import { withoutSandbox } from "./without-sandbox.ts";

export interface RunnerOptions extends AttemptOptions {
  /** Told when a build goes on without the sandbox that it was to have. */
  readonly warn: (text: string) => void;
}

export function builderRunner(options: RunnerOptions): BuilderRunner {
  return (spec, onLog) => run(spec, onLog, options);
}

function run(spec: BuilderSpec, onLog: (bytes: Uint8Array) => void, options: RunnerOptions): RunningBuilder {
  let attempt = tryStart(spec, onLog, options);
  let killed = false;

  async function finish(): Promise<BuilderExit> {
    const end = await attempt.ended;
    if (end.kind !== "impossible") return end;
    const fallback = withoutSandbox(spec);
    const mayFallBack = spec.isolation.kind === "sandbox" && spec.isolation.ifImpossible === "run-unsandboxed";
    if (!mayFallBack || fallback === undefined || killed) return { kind: "setup-failed", reason: advice(end.reason) };
    options.warn(`building without a sandbox, as this system does not allow one: ${end.reason}`);
    attempt = tryStart(fallback, onLog, options);
    const second = await attempt.ended;
    return second.kind === "impossible" ? { kind: "setup-failed", reason: second.reason } : second;
  }

  return {
    get pid() {
      return attempt.pid;
    },
    exited: finish(),
    kill() {
      killed = true;
      attempt.kill();
    },
  };
}

function advice(reason: string): string {
  return `this system does not allow a sandbox (${reason}); set 'sandbox-fallback = true' to build without one`;
}

/** A failure to start is an end, too: the scheduler hears of it in one place. */
function tryStart(spec: BuilderSpec, onLog: (bytes: Uint8Array) => void, options: RunnerOptions): Attempt {
  try {
    return startAttempt(spec, onLog, options);
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    const kind = error instanceof SandboxImpossible ? "impossible" : "setup-failed";
    const reason = toText(error instanceof SandboxImpossible ? error.reason : error.message);
    return { pid: 0, ended: Promise.resolve({ kind, reason }), kill() {} };
  }
}
