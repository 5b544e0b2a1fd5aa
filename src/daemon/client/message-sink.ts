/** Shows what a daemon says through our own reporter: messages as they are, activities as if they were ours. */
import type { Message, MessageField } from "../../formats/worker-protocol/messages.ts";
import { activityNumbers } from "../../store/activity-numbers.ts";
import {
  type Activity,
  type ActivityKind,
  type ActivityResult,
  messageLevels,
  type Reporter,
} from "../../store/reporter.ts";

export interface MessageSink {
  show(message: Extract<Message, { kind: "next" | "start-activity" | "stop-activity" | "result" }>): void;
}

/** Select Graphic Rendition. */
const colours = /\x1b\[[0-9;]*m/g;
const kindByNumber = new Map(Object.entries(activityNumbers).map(([kind, number]) => [number, kind as ActivityKind]));

export function messageSink(reporter: Reporter): MessageSink {
  const activities = new Map<bigint, Activity>();
  return {
    show(message) {
      switch (message.kind) {
        case "next":
          // The daemon has chosen what is worth saying: everything that comes is shown. Nix colours it for any client.
          reporter.message("error", message.text.replace(colours, "").replace(/\n$/, ""));
          break;
        case "start-activity": {
          const parent = activities.get(message.parent);
          const activity = reporter.start({
            kind: kindByNumber.get(message.type) ?? "unknown",
            level: messageLevels[Math.min(message.level, messageLevels.length - 1)]!,
            text: message.text,
            fields: message.fields,
            ...(parent === undefined ? {} : { parent }),
          });
          activities.set(message.id, activity);
          break;
        }
        case "stop-activity":
          activities.get(message.id)?.stop();
          activities.delete(message.id);
          break;
        case "result": {
          const result = decodeResult(message.type, message.fields);
          if (result !== undefined) activities.get(message.id)?.result(result);
          break;
        }
      }
    },
  };
}

/** Undefined for kinds that are not known here, or without their values. */
function decodeResult(type: number, fields: readonly MessageField[]): ActivityResult | undefined {
  const text = (at: number) => String(fields[at] ?? "");
  const number = (at: number) => (typeof fields[at] === "number" ? fields[at] : 0);
  switch (type) {
    case 100:
      return { kind: "file-linked", bytesFreed: number(0), blocksFreed: number(1) };
    case 101:
      return { kind: "build-log-line", line: text(0) };
    case 102:
      return { kind: "untrusted-path", path: text(0) };
    case 103:
      return { kind: "corrupted-path", path: text(0) };
    case 104:
      return { kind: "set-phase", phase: text(0) };
    case 105:
      return { kind: "progress", done: number(0), expected: number(1), running: number(2), failed: number(3) };
    case 106: {
      const of = kindByNumber.get(number(0));
      return of === undefined ? undefined : { kind: "set-expected", of, expected: number(1) };
    }
    case 107:
      return { kind: "post-build-log-line", line: text(0) };
    default:
      return undefined;
  }
}
