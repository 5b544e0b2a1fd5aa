/**
 * The log format of programs that watch Nix: each message, activity and result as a line `@nix {...}` on standard error,
 * keys in alphabetical order, fields only where there are some. Activities are told of whatever their level, as Nix does;
 * errors have the colours of Nix in `msg`, and are without them in `raw_msg`. See the Nix manual, "--log-format
 * internal-json".
 */
import { toText } from "../formats/byte-string.ts";
import { activityNumbers, encodeResult } from "../store/activity-numbers.ts";
import {
  type Activity,
  type ActivityField,
  messageLevels,
  type MessageLevel,
  type Reporter,
} from "../store/reporter.ts";
import type { Io } from "./io.ts";
import { messageBytes } from "./message-text.ts";

const errorPrefix = "error: ";
const colouredErrorPrefix = "\x1b[31;1merror:\x1b[0m ";

/** @param isShown of messages */
export function internalJsonPrinter(io: Io, isShown: (level: MessageLevel) => boolean): Reporter {
  const ids = new WeakMap<Activity, number>();
  // As in Nix: unique on this machine, so that those of several processes can be told apart.
  let nextId = process.pid * 2 ** 20;
  const print = (line: object) => io.err(`@nix ${Buffer.from(JSON.stringify(line), "utf8").toString("latin1")}`);
  const shownFields = (fields: readonly ActivityField[]) => {
    if (fields.length === 0) return undefined; // which JSON leaves out
    return fields.map((field) => (typeof field === "string" ? toText(field) : field));
  };
  const printError = (text: string) => {
    const msg = colouredErrorPrefix + text;
    print({ action: "msg", column: null, file: null, level: 0, line: null, msg, raw_msg: text });
  };
  io.failBy((message) => printError(mixedText(message)));

  return {
    message(level, msg) {
      if (!isShown(level)) return;
      const text = mixedText(msg);
      if (level === "error" && text.startsWith(errorPrefix)) printError(text.slice(errorPrefix.length));
      else print({ action: "msg", level: messageLevels.indexOf(level), msg: text });
    },
    start({ kind, level, text: what, fields = [], parent }) {
      const id = nextId++;
      print({
        action: "start",
        fields: shownFields(fields),
        id,
        level: messageLevels.indexOf(level),
        parent: (parent === undefined ? undefined : ids.get(parent)) ?? 0,
        text: toText(what),
        type: activityNumbers[kind],
      });
      const activity: Activity = {
        result(result) {
          const { number, fields: values } = encodeResult(result);
          print({ action: "result", fields: shownFields(values), id, type: number });
        },
        stop: () => print({ action: "stop", id }),
      };
      ids.set(activity, id);
      return activity;
    },
  };
}

/** Messages are bytes and text mixed (message-text.ts). */
function mixedText(message: string): string {
  return messageBytes(message).toString("utf8");
}
