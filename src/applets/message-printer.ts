/**
 * Prints what the store and the services say: messages as lines on standard error, down to the level that was asked
 * for; build logs as they come; and on a terminal one line of progress.
 */
import type { Activity, ActivityResult, ActivityStart, MessageLevel, Reporter } from "../store/reporter.ts";
import { messageLevels } from "../store/reporter.ts";
import type { CommonFlags } from "./command-line/common-options.ts";
import { internalJsonPrinter } from "./internal-json.ts";
import type { Io } from "./io.ts";
import { escapeControls } from "./message-text.ts";
import { progressLine } from "./progress-line.ts";

export function messagePrinter(
  io: Io,
  { verbosity, buildOutput, logFormat }: Pick<CommonFlags, "verbosity" | "buildOutput" | "logFormat">,
): Reporter {
  const isShown = (level: MessageLevel) => messageLevels.indexOf(level) <= verbosity;
  if (logFormat === "internal-json") return internalJsonPrinter(io, isShown);
  const progress = progressLine((line) => io.progress(line));
  return {
    message(level, text) {
      // Control characters stay out of a message, but it may have several lines.
      if (isShown(level)) io.err(text.split("\n").map(escapeControls).join("\n"));
    },
    start(start): Activity {
      if (start.text !== "" && isShown(start.level)) io.err(`${escapeControls(start.text)}...`);
      return shownActivity(start, progress.start(start), (line) => {
        if (buildOutput === "shown") io.err(line);
      });
    },
  };
}

function shownActivity(start: ActivityStart, drawn: Activity, showLog: (line: string) => void): Activity {
  return {
    result(result: ActivityResult) {
      if (result.kind === "build-log-line") showLog(result.line);
      else if (result.kind === "post-build-log-line")
        showLog(`${start.text === "" ? "post-build-hook" : start.text}: ${result.line}`);
      else drawn.result(result);
    },
    stop: () => drawn.stop(),
  };
}
