/**
 * The world of an applet: where data goes and where talk goes. Data is bytes on standard output, gathered into large
 * writes; messages are lines on standard error, with a few live lines below them on a terminal.
 */
import { encodeBytes } from "../formats/byte-string.ts";
import type { Environment } from "../store/directories.ts";
import { writeAll } from "../sys/descriptor.ts";
import { isTerminal, terminalSize } from "../sys/terminal.ts";
import { escapeControls, messageBytes } from "./message-text.ts";
import { type LiveLine, liveArea, type TerminalSize } from "./progress/live-area.ts";

export interface Io {
  /** The name that the program was called by, such as `nix-store`. */
  readonly calledAs: string;
  readonly env: Environment;
  /** Writes a byte string (formats/byte-string.ts), or bytes, to standard output, sooner or later. */
  out(data: string | Uint8Array): void;
  /** Everything written so far has reached the descriptor, and no live line is left on the terminal. */
  flush(): void;
  /** Writes a message and a newline to standard error at once. */
  err(line: string): void;
  /** The error that ends the program, without `error: ` before it. */
  fail(message: string): void;
  /** From now on errors that end the program are for `print`: a format that is not for people has a form for them. */
  failBy(print: (message: string) => void): void;
  /** The size of the terminal that messages go to, now; undefined where they go elsewhere, or it cannot move its cursor. */
  terminal(): TerminalSize | undefined;
  /** Shows lines below all messages in place of those before; none takes them away. Only where there is a terminal. */
  show(lines: readonly LiveLine[]): void;
  /** The lines shown are left where they are: somebody else has written to the terminal. */
  abandonShown(): void;
  readonly stdinFd: number;
  readonly stdoutFd: number;
  readonly stderrFd: number;
}

const bufferSize = 64 * 1024;

export function processIo(calledAs: string): Io {
  const buffer = Buffer.allocUnsafe(bufferSize);
  let length = 0;
  // Most commands never ask, and pay nothing.
  let onTerminal: "yes" | "no" | undefined;
  const area = liveArea(narrowsByCutting(process.env) ? "cuts" : "wraps");
  let printFailure = (message: string) => err(`error: ${escapeControls(message)}`);

  function terminal(): TerminalSize | undefined {
    onTerminal ??= process.env["TERM"] !== "dumb" && isTerminal(2) ? "yes" : "no";
    return onTerminal === "yes" ? terminalSize(2) : undefined;
  }

  function show(lines: readonly LiveLine[]): void {
    if (lines.length === 0 && area.isEmpty) return;
    const size = terminal();
    if (size === undefined) return;
    const bytes = area.replace(lines, size);
    if (bytes.length > 0) writeAll(2, bytes);
  }

  function err(line: string): void {
    const message = messageBytes(`${line}\n`);
    const size = area.isEmpty ? undefined : terminal();
    writeAll(2, size === undefined ? message : area.printAbove(message, size));
  }

  function flush(): void {
    show([]);
    const pending = buffer.subarray(0, length);
    length = 0;
    if (pending.length > 0) writeAll(1, pending);
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
    err,
    fail: (message) => printFailure(message),
    failBy(print) {
      printFailure = print;
    },
    terminal,
    show,
    abandonShown: area.abandon,
    stdinFd: 0,
    stdoutFd: 1,
    stderrFd: 2,
  };
}

/** xterm itself and GNU screen; the others wrap lines again when they are made narrower. */
function narrowsByCutting(env: Environment): boolean {
  return env["TMUX"] === undefined && (env["XTERM_VERSION"] !== undefined || env["STY"] !== undefined);
}
