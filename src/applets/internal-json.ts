/**
 * The log format of programs that watch Nix: each message, activity and result as a line `@nix {...}` on standard error,
 * keys in alphabetical order. See the Nix manual, "--log-format internal-json".
 */
import { toText } from "../formats/byte-string.ts";
import { activityNumbers, encodeResult } from "../store/activity-numbers.ts";
import { type Activity, messageLevels, type MessageLevel, type Reporter } from "../store/reporter.ts";
import type { Io } from "./io.ts";

/** @param isShown of messages and activities; results of activities not shown are not either */
export function internalJsonPrinter(io: Io, isShown: (level: MessageLevel) => boolean): Reporter {
  const ids = new WeakMap<Activity, number>();
  // As in Nix: unique on this machine, so that those of several processes can be told apart.
  let nextId = process.pid * 2 ** 20;
  const print = (line: object) => io.err(`@nix ${Buffer.from(JSON.stringify(line), "utf8").toString("latin1")}`);
  const text = (field: string | number) => (typeof field === "string" ? toText(field) : field);

  return {
    message(level, msg) {
      if (isShown(level)) print({ action: "msg", level: messageLevels.indexOf(level), msg: toText(msg) });
    },
    start({ kind, level, text: what, fields = [], parent }) {
      if (!isShown(level)) return { result() {}, stop() {} };
      const id = nextId++;
      print({
        action: "start",
        fields: fields.map(text),
        id,
        level: messageLevels.indexOf(level),
        parent: (parent === undefined ? undefined : ids.get(parent)) ?? 0,
        text: toText(what),
        type: activityNumbers[kind],
      });
      const activity: Activity = {
        result(result) {
          const { number, fields: values } = encodeResult(result);
          print({ action: "result", fields: values.map(text), id, type: number });
        },
        stop: () => print({ action: "stop", id }),
      };
      ids.set(activity, id);
      return activity;
    },
  };
}
