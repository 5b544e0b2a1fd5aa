/**
 * Prints what the store and the services say, on standard error: messages as lines, down to the level that was asked for;
 * build logs as they come; on a terminal a live view in place of those; or everything in a form for programs.
 */
import { fromText } from "../formats/byte-string.ts";
import { plainText } from "../formats/plain-text.ts";
import type { Activity, MessageLevel, Reporter } from "../store/reporter.ts";
import { messageLevels } from "../store/reporter.ts";
import type { CommonFlags } from "./command-line/common-options.ts";
import { internalJsonPrinter } from "./internal-json.ts";
import type { Io } from "./io.ts";
import { escapeControls } from "./message-text.ts";
import { livePrinter } from "./progress/live-printer.ts";
import { subjectName } from "./progress/progress-model.ts";
import { frameStyle, type Talk } from "./progress/talk.ts";
import { colouredText } from "./progress/visible-text.ts";

/** @param talk is called when it matters */
export function messagePrinter(
  io: Io,
  { verbosity, logFormat }: Pick<CommonFlags, "verbosity" | "logFormat">,
  talk: () => Talk,
): Reporter {
  const isShown = (level: MessageLevel) => messageLevels.indexOf(level) <= verbosity;
  if (logFormat === "internal-json") return internalJsonPrinter(io, isShown);
  let activities: Pick<Reporter, "start"> | undefined;
  return {
    message(level, text) {
      // Control characters stay out of a message, but it may have several lines.
      if (isShown(level)) io.err(text.split("\n").map(escapeControls).join("\n"));
    },
    start(start) {
      activities ??= openPrinter(io, isShown, talk());
      return activities.start(start);
    },
  };
}

function openPrinter(
  io: Io,
  isShown: (level: MessageLevel) => boolean,
  { form, builderOutput }: Talk,
): Pick<Reporter, "start"> {
  if (form === "live") return livePrinter(io, { isShown, builderOutput, style: frameStyle(io.env) });
  // As in Nix: a terminal is shown colours, and nobody anything else that a terminal acts on.
  const line = io.terminal() === undefined ? plainText : colouredText;
  return {
    start(start): Activity {
      if (start.text !== "" && isShown(start.level)) io.err(`${escapeControls(start.text)}...`);
      return {
        result(result) {
          if (result.kind === "build-log-line") {
            if (builderOutput === "raw-lines") io.err(line(result.line));
            else if (builderOutput === "named-lines")
              io.err(`${fromText(subjectName(start))}> ${plainText(result.line)}`);
          } else if (result.kind === "post-build-log-line" && builderOutput !== "only-of-failures") {
            io.err(`post-build-hook: ${line(result.line)}`);
          }
        },
        stop() {},
      };
    },
  };
}
