/**
 * Builder output as lines for people: a carriage return goes back to the beginning of the line, and what follows
 * overwrites it, as on a terminal.
 */
import type { ByteString } from "../formats/byte-string.ts";

/** Bytes; what is longer comes in pieces. */
const maxLineLength = 1024 * 1024;

export class LogLines {
  private line = "";
  private position = 0;

  constructor(private readonly onLine: (line: ByteString) => void) {}

  feed(chunk: Uint8Array): void {
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("latin1");
    let from = 0;
    while (from < text.length) {
      const end = text.indexOf("\n", from);
      this.write(text.slice(from, end < 0 ? undefined : end));
      if (end < 0) return;
      this.flush();
      from = end + 1;
    }
  }

  /** Hands on a last line without end. */
  finish(): void {
    if (this.line !== "") this.flush();
  }

  private write(text: string): void {
    const parts = text.split("\r");
    parts.forEach((part, index) => {
      if (index > 0) this.position = 0;
      this.overwrite(part);
    });
  }

  private overwrite(text: string): void {
    if (text === "") return;
    const rest = this.line.slice(this.position + text.length);
    this.line = this.line.slice(0, this.position) + text + rest;
    this.position += text.length;
    if (this.line.length > maxLineLength) this.flush();
  }

  private flush(): void {
    const line = this.line as ByteString;
    this.line = "";
    this.position = 0;
    this.onLine(line);
  }
}
