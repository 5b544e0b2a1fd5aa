/** One start of a builder, and its end: log, processes, outputs. */
import { toText } from "../formats/byte-string.ts";
import type { BuilderExit, BuilderSpec } from "../store/builder-runner.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { close, pipe } from "../sys/descriptor.ts";
import { lchown } from "../sys/metadata.ts";
import { SIGKILL } from "../sys/process-calls.ts";
import { peekEnd, reap, tryKill } from "../sys/process.ts";
import { endUserProcesses } from "./build-user-processes.ts";
import { catchChildSignals, watchChildren } from "./child-events.ts";
import { type BuilderSession, killGroup, killLeftovers } from "./leftovers.ts";
import { makeSandboxRoot, removeSandboxRoot, takeOutputs } from "./sandbox-root.ts";
import { readFailure, stageIndices } from "./channel.ts";
import { SandboxImpossible, setupError } from "./impossible.ts";
import { type StartedBuilder, startBuilder } from "./start-builder.ts";
import { openTerminalLog } from "./terminal-log.ts";
import { endWatch, watchOver } from "./watchdog.ts";

export interface AttemptOptions {
  /** Starts the stage instead of the own executable. */
  readonly stageCommand?: readonly string[];
}

export type AttemptEnd = BuilderExit | { readonly kind: "impossible"; readonly reason: string };

export interface Attempt {
  readonly pid: number;
  readonly ended: Promise<AttemptEnd>;
  kill(): void;
}

type OnLog = (bytes: Uint8Array) => void;

/** @throws SystemError, SandboxImpossible, UserStillBusy; then nothing is left behind */
export function startAttempt(spec: BuilderSpec, onLog: OnLog, { stageCommand: command }: AttemptOptions): Attempt {
  const { isolation, user } = spec;
  catchChildSignals();
  if (user !== undefined) {
    endUserProcesses(user.uid);
    lchown(spec.buildDir, user.uid, user.gid); // what still ran could have put a link in its place
  }
  if (isolation.kind === "sandbox") makeSandboxRoot(isolation, user);
  const listener = guarded(onLog);
  const log = openTerminalLog(user?.uid, listener.onLog);
  const status = pipe();
  try {
    const start = { output: log.slave, channel: status.write, stageCommand: command };
    // What it starts must be known to somebody who outlives us before it can start anything.
    const prepare = (pid: number) => watchOver(sessionOf(spec, pid), command);
    const child = startBuilder(spec, isolation.kind === "none" ? { ...start, prepare } : start);
    return superviseAttempt(spec, { child, log, channel: status.read, listener });
  } catch (error) {
    log.close();
    close(status.read);
    if (isolation.kind === "sandbox") deleteTree(isolation.rootDir);
    throw error;
  } finally {
    close(log.slave);
    close(status.write);
  }
}

/** Who listens may fail, as when the disk is full: nothing of the builder must be left behind then either. */
function guarded(onLog: OnLog): Listener {
  const listener: Listener = {
    failure: undefined,
    onLog(bytes) {
      if (listener.failure !== undefined) return;
      try {
        onLog(bytes);
      } catch (error) {
        listener.failure = { error };
      }
    },
  };
  return listener;
}

interface Listener {
  failure: { readonly error: unknown } | undefined;
  readonly onLog: OnLog;
}

interface Supervised {
  readonly listener: Listener;
  readonly child: StartedBuilder;
  readonly log: ReturnType<typeof openTerminalLog>;
  readonly channel: number;
}

function sessionOf({ user, buildDir }: BuilderSpec, leader: number): BuilderSession {
  const userKind = user === undefined ? "caller" : "build-user";
  return { leader, uid: user?.uid ?? process.geteuid!(), userKind, buildDir };
}

function superviseAttempt(spec: BuilderSpec, started: Supervised): Attempt {
  const { child, log, channel, listener } = started;
  const { pid } = child;
  const { isolation, user } = spec;
  const sandboxed = isolation.kind === "sandbox";
  let state: "running" | "killed" | "ending" | "gone" = "running";
  const session = sessionOf(spec, pid);

  async function finish(killed: boolean): Promise<AttemptEnd> {
    // With the first process of its namespace, everything in a sandbox has ended.
    if (!sandboxed) {
      killGroup(pid);
      while (killLeftovers(session)) await nextMoment();
    }
    while (log.drain()) await nextMoment();
    log.close();
    const failure = explainFailure(channel, child);
    state = "gone";
    const end = reap(pid);
    if (user !== undefined) endUserProcesses(user.uid);
    if (!sandboxed) endWatch(pid);
    if (sandboxed) {
      try {
        if (!killed) takeOutputs(isolation);
      } finally {
        await removeSandboxRoot(isolation, child.stageCalls ?? child.calls);
      }
    }
    if (listener.failure !== undefined) throw listener.failure.error;
    return failure ?? end;
  }

  const { promise: ended, resolve, reject } = Promise.withResolvers<AttemptEnd>();
  const stopWatching = watchChildren(look);

  function look(): void {
    if (state !== "running" && state !== "killed") return;
    try {
      if (log.drain()) setImmediate(look);
      if (listener.failure !== undefined) kill();
      if (peekEnd(pid) === undefined) return;
      stopWatching();
      const killed = state === "killed";
      state = "ending";
      finish(killed).then(resolve, reject);
    } catch (error) {
      stopWatching();
      state = "ending";
      killGroup(pid);
      reject(error);
    }
  }

  function kill(): void {
    if (state !== "running" && state !== "killed") return;
    state = "killed";
    if (sandboxed) tryKill(pid, SIGKILL);
    else killGroup(pid);
  }

  return { pid, ended, kill };
}

/** Lets what waits for this thread run. */
function nextMoment(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

/** Why the builder never ran, if it did not. */
function explainFailure(channel: number, { calls, stageCalls = [] }: StartedBuilder): AttemptEnd | undefined {
  const failure = readFailure(channel);
  if (failure === undefined) return undefined;
  const { index, errno } = failure;
  const inStage = index >= stageIndices;
  const error = inStage ? setupError(stageCalls, { index: index - stageIndices, errno }) : setupError(calls, failure);
  return error instanceof SandboxImpossible
    ? { kind: "impossible", reason: toText(error.reason) }
    : { kind: "setup-failed", reason: toText(error.message) };
}
