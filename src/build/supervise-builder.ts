/** Runs a builder and ends it when it has been running, silent or talkative for too long, or is not wanted any more. */
import type { BuilderExit, BuilderSpec } from "../store/builder-runner.ts";
import { BuildFailure, type FailureStatus } from "./build-failure.ts";
import type { BuildRun } from "./build-run.ts";
import { onAbort } from "./build-slots.ts";

/** What is longer fires at once; so it fires early, and looks again. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * Resolves when nothing of the builder is left.
 * @param title what messages call it @throws BuildFailure when a limit ended it, the signal's reason when that did
 */
export async function superviseBuilder(
  run: BuildRun,
  spec: BuilderSpec,
  title: string,
  onLog: (chunk: Uint8Array) => void,
): Promise<BuilderExit> {
  const { settings } = run.store;
  const maxLogSize = settings.get("max-build-log-size");
  const maxSilentSec = settings.get("max-silent-time");
  const timeoutSec = settings.get("timeout");
  run.signal.throwIfAborted();
  let failure: BuildFailure | undefined;
  let logSize = 0;
  let lastOutputMs = performance.now();

  const builder = run.runBuilder(spec, (chunk) => {
    lastOutputMs = performance.now();
    if (failure !== undefined) return;
    logSize += chunk.length;
    if (maxLogSize > 0 && logSize > maxLogSize) {
      cutShort("log-limit-exceeded", `killed after writing more than ${maxLogSize} bytes of log output`);
      return;
    }
    onLog(chunk);
  });

  function cutShort(status: FailureStatus, reason: string): void {
    failure ??= new BuildFailure(status, `${title} ${reason}`);
    builder.kill();
  }

  const timers = new Set<ReturnType<typeof setTimeout>>();
  function after(ms: number, action: () => void): void {
    const timer = setTimeout(
      () => {
        timers.delete(timer);
        action();
      },
      Math.min(ms, longestTimerMs),
    );
    timers.add(timer);
  }

  /** Looks again when the silence so far could have become too long. */
  function watchSilence(): void {
    const leftMs = lastOutputMs + maxSilentSec * 1000 - performance.now();
    if (leftMs > 0) after(leftMs, watchSilence);
    else cutShort("timed-out", `timed out after ${maxSilentSec} seconds of silence`);
  }

  if (maxSilentSec > 0) watchSilence();
  const startMs = performance.now();
  function watchDuration(): void {
    const leftMs = startMs + timeoutSec * 1000 - performance.now();
    if (leftMs > 0) after(leftMs, watchDuration);
    else cutShort("timed-out", `timed out after ${timeoutSec} seconds`);
  }

  if (timeoutSec > 0) watchDuration();
  const forget = onAbort(run.signal, () => builder.kill());
  try {
    const exit = await builder.exited;
    if (failure !== undefined) throw failure;
    run.signal.throwIfAborted();
    return exit;
  } finally {
    forget();
    for (const timer of timers) clearTimeout(timer);
  }
}
