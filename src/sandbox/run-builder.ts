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
  /** Told once when builds go on without the sandbox that they were to have. */
  readonly warn: (text: string) => void;
}

export function builderRunner(options: RunnerOptions): BuilderRunner {
  let warned = false;
  const warn = (text: string) => {
    if (!warned) options.warn(text);
    warned = true; // it is as true of all other builds
  };
  return (spec, onLog) => run(spec, onLog, { ...options, warn });
}

function run(spec: BuilderSpec, onLog: (bytes: Uint8Array) => void, options: RunnerOptions): RunningBuilder {
  let attempt = tryStart(spec, onLog, options);
  let killed = false;

  async function finish(): Promise<BuilderExit> {
    const end = await attempt.ended;
    if (end.kind !== "impossible") return end;
    const fallback = withoutSandbox(spec);
    if ("refusal" in fallback || killed) {
      const next = "refusal" in fallback ? fallback.refusal : "killed before it was started without one";
      return { kind: "setup-failed", reason: `this system does not allow a sandbox (${end.reason}); ${next}` };
    }
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
