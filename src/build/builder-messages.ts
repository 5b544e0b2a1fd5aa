/**
 * What builders say to whoever watches: lines `@nix {...}` in the format of `--log-format internal-json`. From a builder,
 * which may be anybody's, only phases, messages and downloads are taken; from a hook, which is ours, everything.
 */
import { type ByteString, fromText, toText } from "../formats/byte-string.ts";
import { activityNumbers } from "../store/activity-numbers.ts";
import {
  type Activity,
  type ActivityField,
  type ActivityKind,
  type ActivityResult,
  messageLevels,
  type Reporter,
} from "../store/reporter.ts";

export type MessageTrust = "builder" | "hook";

const prefix = "@nix ";
const kindByNumber = new Map(Object.entries(activityNumbers).map(([kind, number]) => [number, kind as ActivityKind]));

export class BuilderMessages {
  private readonly activities = new Map<number, Activity>();

  /** @param parent the activity of the build; undefined before there is one */
  constructor(
    private readonly reporter: Reporter,
    private readonly parent: Activity | undefined,
    private readonly trust: MessageTrust,
  ) {}

  /** False when the line is not such a message but to be shown. */
  take(line: ByteString): boolean {
    if (!line.startsWith(prefix)) return false;
    try {
      const value: unknown = JSON.parse(toText(line.slice(prefix.length)));
      if (isRecord(value)) this.handle(value);
      return true;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.reporter.message("error", `bad JSON log message from builder: ${fromText(error.message)}`);
      return false;
    }
  }

  /** Ends what the builder did not. */
  finish(): void {
    for (const activity of this.activities.values()) activity.stop();
    this.activities.clear();
  }

  private handle(message: Readonly<Record<string, unknown>>): void {
    const id = numberOf(message["id"]);
    switch (message["action"]) {
      case "start":
        return this.start(id, message);
      case "stop":
        this.activities.get(id)?.stop();
        this.activities.delete(id);
        return;
      case "result": {
        const result = readResult(numberOf(message["type"]), message["fields"]);
        if (result !== undefined) this.activities.get(id)?.result(result);
        return;
      }
      case "setPhase":
        this.parent?.result({ kind: "set-phase", phase: stringOf(message["phase"]) });
        return;
      case "msg": {
        const level = messageLevels[numberOf(message["level"])] ?? "error";
        this.reporter.message(level, stringOf(message["msg"]));
      }
    }
  }

  private start(id: number, message: Readonly<Record<string, unknown>>): void {
    const kind = kindByNumber.get(numberOf(message["type"])) ?? "unknown";
    if (this.trust === "builder" && kind !== "file-transfer") return;
    const activity = this.reporter.start({
      kind,
      level: messageLevels[numberOf(message["level"])] ?? "info",
      text: stringOf(message["text"]),
      fields: fieldsOf(message["fields"]),
      ...(this.parent === undefined ? {} : { parent: this.parent }),
    });
    this.activities.get(id)?.stop();
    this.activities.set(id, activity);
  }
}

function readResult(type: number, values: unknown): ActivityResult | undefined {
  const fields = fieldsOf(values);
  const number = (index: number) => numberOf(fields[index]);
  const string = (index: number) => String(fields[index] ?? "");
  switch (type) {
    case 100:
      return { kind: "file-linked", bytesFreed: number(0), blocksFreed: number(1) };
    case 101:
      return { kind: "build-log-line", line: string(0) };
    case 102:
      return { kind: "untrusted-path", path: string(0) };
    case 103:
      return { kind: "corrupted-path", path: string(0) };
    case 104:
      return { kind: "set-phase", phase: string(0) };
    case 105:
      return { kind: "progress", done: number(0), expected: number(1), running: number(2), failed: number(3) };
    case 106:
      return { kind: "set-expected", of: kindByNumber.get(number(0)) ?? "unknown", expected: number(1) };
    case 107:
      return { kind: "post-build-log-line", line: string(0) };
    default:
      return undefined;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isSafeInteger(value) ? value : 0;
}

function stringOf(value: unknown): ByteString {
  return fromText(typeof value === "string" ? value : "");
}

function fieldsOf(value: unknown): ActivityField[] {
  if (!Array.isArray(value)) return [];
  return value.map((field: unknown) => (typeof field === "number" ? field : stringOf(field)));
}
