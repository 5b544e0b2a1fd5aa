/** What is told of a builder's output while it comes: lines to the activity of the build, and the last ones for a failure. */
import type { ByteString } from "../formats/byte-string.ts";
import type { Activity, Reporter } from "../store/reporter.ts";
import { BuilderMessages, type MessageTrust } from "./builder-messages.ts";
import { LogLines } from "./log-lines.ts";

export class LogWatch {
  readonly tail: ByteString[] = [];
  private readonly lines: LogLines;
  private readonly messages: BuilderMessages;

  constructor(reporter: Reporter, activity: Activity, tailLength: number, trust: MessageTrust) {
    this.messages = new BuilderMessages(reporter, activity, trust);
    this.lines = new LogLines((line) => {
      if (this.messages.take(line)) return;
      this.tail.push(line);
      if (this.tail.length > tailLength) this.tail.shift();
      activity.result({ kind: "build-log-line", line });
    });
  }

  feed(chunk: Uint8Array): void {
    this.lines.feed(chunk);
  }

  finish(): void {
    this.lines.finish();
    this.messages.finish();
  }
}
