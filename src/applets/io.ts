/**
 * The world of an applet: where data goes and where talk goes. Data is bytes on standard output, gathered into large
 * writes; messages are lines on standard error, with at most one line of progress below them on a terminal.
 */
import { encodeBytes } from "../formats/byte-string.ts";
import type { Environment } from "../store/directories.ts";
import { writeAll } from "../sys/descriptor.ts";
import { isTerminal, terminalWidth } from "../sys/terminal.ts";
import { escapeControls, messageBytes } from "./message-text.ts";

export interface Io {
  /** The name that the program was called by, such as `nix-store`. */
  readonly calledAs: string;
  readonly env: Environment;
  /** Writes a byte string (formats/byte-string.ts), or bytes, to standard output, sooner or later. */
  out(data: string | Uint8Array): void;
  /** Everything written so far has reached the descriptor, and no line of progress is left on the terminal. */
  flush(): void;
  /** Writes a message and a newline to standard error at once. */
  err(line: string): void;
  /** Shows a line of progress until the next one; undefined takes it away. Nothing where there is no terminal. */
  progress(line: string | undefined): void;
  readonly stdinFd: number;
  readonly stdoutFd: number;
  readonly stderrFd: number;
}

const bufferSize = 64 * 1024;
/** Back to the first column, and clear to the end of the line. */
const eraseLine = "\r\x1b[K";

export function processIo(calledAs: string): Io {
  const buffer = Buffer.allocUnsafe(bufferSize);
  let length = 0;
  let progressLine: string | undefined;
  let terminal: boolean | undefined;

  function flush(): void {
    showProgress(undefined);
    const pending = buffer.subarray(0, length);
    length = 0;
    if (pending.length > 0) writeAll(1, pending);
  }

  function showProgress(line: string | undefined): void {
    if (line === progressLine) return;
    terminal ??= process.env["TERM"] !== "dumb" && isTerminal(2);
    if (!terminal) return;
    progressLine = line;
    const shown = line === undefined ? "" : escapeControls(line).slice(0, Math.max(0, terminalWidth(2) - 1));
    writeAll(2, messageBytes(eraseLine + shown));
  }

  return {
    calledAs,
    env: process.env,
    out(data) {
      if (length + data.length > bufferSize) flush();
      if (data.length > bufferSize) {
        writeAll(1, typeof data === "string" ? encodeBytes(data) : data);
        return;
      }
      if (typeof data === "string") buffer.write(data, length, "latin1");
      else buffer.set(data, length);
      length += data.length;
    },
    flush,
    err(line) {
      const shown = progressLine;
      showProgress(undefined);
      writeAll(2, messageBytes(`${line}\n`));
      showProgress(shown);
    },
    progress: showProgress,
    stdinFd: 0,
    stdoutFd: 1,
    stderrFd: 2,
  };
}
