/**
 * Forwards what the store and the services say to the client: messages down to the level that it has asked for, and activities to clients
 * that know them (1.20). Older ones see an activity's text as a message. A builder's output is a result of its build, or plain lines for
 * clients that want it so.
 */
import { fromText } from "../../formats/byte-string.ts";
import type { MessageField } from "../../formats/worker-protocol/messages.ts";
import { activityNumbers, encodeResult } from "../../store/activity-numbers.ts";
import {
  type Activity,
  type ActivityField,
  type ActivityResult,
  type MessageLevel,
  messageLevels,
  type Reporter,
} from "../../store/reporter.ts";
import type { ClientChannel } from "./client-channel.ts";

export interface ClientReporter extends Reporter {
  /** Today's level, 0 (error) to 7 (vomit), of the least important message that is sent. */
  verbosity: number;
  builderOutput: "lines" | "results" | "none";
}

/** The protocol has activities since then. */
const firstWithActivities = 20;

/**
 * @param minor the negotiated version
 * @param checkClient called now and then, to throw when the client has gone
 */
export function clientReporter(channel: ClientChannel, minor: number, checkClient: () => void): ClientReporter {
  let activities = 0;
  const hasActivities = minor >= firstWithActivities;
  const ids = new WeakMap<Activity, bigint>();

  const isShown = (level: MessageLevel) => messageLevels.indexOf(level) <= reporter.verbosity;
  const line = (text: string) => channel.message({ kind: "next", text: fromText(`${text}\n`) });

  function sendResult(id: bigint, result: ActivityResult): void {
    if (result.kind === "build-log-line") {
      if (reporter.builderOutput === "lines") return line(result.line);
      if (reporter.builderOutput === "none") return;
    }
    if (!hasActivities) return;
    const { number, fields } = encodeResult(result);
    channel.message({ kind: "result", id, type: number, fields: fields.map(encodeField) });
  }

  const reporter: ClientReporter = {
    verbosity: messageLevels.indexOf("info"),
    builderOutput: hasActivities ? "results" : "lines",
    message(level, text) {
      checkClient();
      if (isShown(level)) line(text);
    },
    start(start) {
      checkClient();
      const id = (BigInt(process.pid) << 32n) + BigInt(++activities);
      if (!hasActivities) {
        if (start.text !== "" && isShown(start.level)) line(`${start.text}...`);
      } else {
        channel.message({
          kind: "start-activity",
          id,
          level: messageLevels.indexOf(start.level),
          type: activityNumbers[start.kind],
          text: fromText(start.text),
          fields: (start.fields ?? []).map(encodeField),
          parent: (start.parent === undefined ? undefined : ids.get(start.parent)) ?? 0n,
        });
      }
      const activity: Activity = {
        result(result) {
          checkClient();
          sendResult(id, result);
        },
        stop() {
          if (hasActivities) channel.message({ kind: "stop-activity", id });
        },
      };
      ids.set(activity, id);
      return activity;
    },
  };
  return reporter;
}

function encodeField(field: ActivityField): MessageField {
  if (typeof field === "string") return fromText(field);
  return Math.max(0, Math.min(Number.MAX_SAFE_INTEGER, Math.trunc(field)));
}
