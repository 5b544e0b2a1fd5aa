/**
 * The world of an applet: where data goes and where talk goes. Data is bytes on standard output, gathered into large
 * writes; messages are lines on standard error.
 */
import { fromText } from "../formats/byte-string.ts";
import { writeAll } from "../sys/descriptor.ts";
import type { Environment } from "../store/directories.ts";

export interface Io {
  /** The name that the program was called by, such as `nix-store`. */
  readonly calledAs: string;
  readonly env: Environment;
  /** Writes text (UTF-8) or bytes to standard output, sooner or later. */
  out(data: string | Uint8Array): void;
  /** Everything written so far has reached the descriptor. */
  flush(): void;
  /** Writes a message and a newline to standard error at once. */
  err(line: string): void;
  readonly stdinFd: number;
  readonly stdoutFd: number;
  readonly stderrFd: number;
}

const bufferSize = 64 * 1024;

export function processIo(calledAs: string): Io {
  const buffer = Buffer.allocUnsafe(bufferSize);
  let length = 0;

  function flush(): void {
    const pending = buffer.subarray(0, length);
    length = 0;
    if (pending.length > 0) writeAll(1, pending);
  }

  return {
    calledAs,
    env: process.env,
    out(data) {
      const bytes = typeof data === "string" ? Buffer.from(data, "utf8") : data;
      if (length + bytes.length > bufferSize) flush();
      if (bytes.length > bufferSize) writeAll(1, bytes);
      else {
        buffer.set(bytes, length);
        length += bytes.length;
      }
    },
    flush,
    err: (line) => writeAll(2, Buffer.from(`${fromText(line)}\n`, "latin1")),
    stdinFd: 0,
    stdoutFd: 1,
    stderrFd: 2,
  };
}
