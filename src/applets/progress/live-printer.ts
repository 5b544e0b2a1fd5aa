/**
 * Says on a terminal what goes on: a view at its bottom, messages above it, and at the end of a run one line of summary. The
 * view is drawn when an activity tells something new, and by a timer in between; where the program blocks, and no timer
 * comes, activities suffice.
 */
import { SiloError } from "../../error.ts";
import { fromText } from "../../formats/byte-string.ts";
import type { Activity, ActivityKind, MessageLevel, Reporter } from "../../store/reporter.ts";
import type { Io } from "../io.ts";
import { escapeControls } from "../message-text.ts";
import { type FrameStyle, progressFrame } from "./progress-frame.ts";
import { progressModel, type WorkItem } from "./progress-model.ts";
import { runSummary } from "./run-summary.ts";
import type { Talk } from "./talk.ts";
import { plainText } from "../../formats/plain-text.ts";
import { colouredText } from "./visible-text.ts";

/** Often enough to be seen moving, seldom enough to be read. */
const intervalMs = 80;

/** So many lines of logs between two drawings cannot be read; with the view drawn below each they would only take longer. */
const manyLines = 50;

/** What the view shows by itself; those who want to know more are told in words too. */
const viewedKinds: ReadonlySet<ActivityKind> = new Set<ActivityKind>([
  "realise",
  "builds",
  "build",
  "substitute",
  "copy-path",
  "copy-paths",
  "file-transfer",
  "optimise-store",
  "verify-paths",
  "build-waiting",
  "post-build-hook",
]);

export interface LivePrinterOptions {
  readonly isShown: (level: MessageLevel) => boolean;
  readonly builderOutput: Talk["builderOutput"];
  readonly style: FrameStyle;
}

export function livePrinter(io: Io, { isShown, builderOutput, style }: LivePrinterOptions): Pick<Reporter, "start"> {
  const model = progressModel();
  const itemOf = new WeakMap<Activity, WorkItem>();
  let runs = 0;
  let sinceMs = 0;
  let lastDrawMs = 0;
  let lastTickMs = 0;
  let linesSinceDraw = 0;
  let timer: NodeJS.Timeout | undefined;

  function draw(): void {
    lastDrawMs = performance.now();
    linesSinceDraw = 0;
    const size = io.terminal();
    io.show(size === undefined ? [] : progressFrame(model, size, lastDrawMs, sinceMs, style));
  }

  function drawIfDue(): void {
    if (performance.now() - lastDrawMs >= intervalMs) draw();
  }

  function tick(): void {
    const nowMs = performance.now();
    const sinceTickMs = nowMs - lastTickMs;
    lastTickMs = nowMs;
    // After a long pause we may have been stopped, and the signal that says so comes after the timer.
    if (sinceTickMs < 3 * intervalMs) drawByItself();
  }

  /** Nobody waits for these drawings, and a terminal that has gone away is no reason to stop. */
  function drawByItself(): void {
    try {
      draw();
    } catch (error) {
      if (!(error instanceof SiloError)) throw error;
      rest();
    }
  }

  const erase = () => io.show([]);

  /** The terminal was ours before somebody stopped us; what is on it now is not. */
  function resume(): void {
    io.abandonShown();
    drawByItself();
  }

  function wake(): void {
    if (timer !== undefined) return;
    // What is over at once is not worth a view that flashes up.
    lastTickMs = lastDrawMs = sinceMs = performance.now();
    timer = setInterval(tick, intervalMs);
    timer.unref();
    process.on("SIGWINCH", drawByItself);
    process.on("SIGCONT", resume);
    process.on("uncaughtExceptionMonitor", erase);
  }

  function rest(): void {
    clearInterval(timer);
    timer = undefined;
    process.off("SIGWINCH", drawByItself);
    process.off("SIGCONT", resume);
    process.off("uncaughtExceptionMonitor", erase);
  }

  function stop(item: WorkItem): void {
    model.stop(item);
    if (item.kind === "realise") {
      runs--;
      if (runs === 0) {
        io.show([]);
        const summary = runSummary(model, performance.now() - sinceMs);
        if (summary !== undefined && isShown("info")) io.err(summary);
        model.forget();
      }
    }
    if (model.items.size > 0) return drawIfDue();
    io.show([]);
    model.forget();
    rest();
  }

  function showLog(item: WorkItem, line: string): void {
    if (builderOutput === "only-of-failures") return;
    const text = style.colours === "on" ? colouredText(line) : plainText(line);
    const name = builderOutput === "named-lines" ? `${fromText(item.name || item.kind)}> ` : "";
    if (++linesSinceDraw > manyLines) io.show([]);
    io.err(name + text);
  }

  return {
    start(start) {
      const isViewed = viewedKinds.has(start.kind);
      if (start.text !== "" && isShown(isViewed ? "talkative" : start.level) && isShown(start.level)) {
        io.err(`${escapeControls(start.text)}...`);
      }
      if (!isViewed) return { result() {}, stop() {} };
      wake();
      const parent = start.parent === undefined ? undefined : itemOf.get(start.parent);
      const item = model.start(start, parent, performance.now());
      if (item.kind === "realise") runs++;
      const activity: Activity = {
        result(result) {
          if (result.kind === "build-log-line" || result.kind === "post-build-log-line") {
            showLog(item, result.line);
          }
          model.result(item, result, performance.now());
          drawIfDue();
        },
        stop: () => stop(item),
      };
      itemOf.set(activity, item);
      drawIfDue();
      return activity;
    },
  };
}
