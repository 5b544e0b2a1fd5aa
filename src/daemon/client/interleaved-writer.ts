/**
 * Sending much data to a daemon that may speak meanwhile: what it says is read while its end of the socket is full, or both would wait for each
 * other for ever. When it reports a failure, nothing more is sent.
 */
import { runSync } from "../../formats/codec.ts";
import { encodeFrameHeader, framesEnd } from "../../formats/worker-protocol/framed.ts";
import { readMessage } from "../../formats/worker-protocol/messages.ts";
import type { WireContext } from "../../formats/worker-protocol/wire-type.ts";
import type { FdReader } from "../../sys/fd-reader.ts";
import { poll } from "../../sys/poll.ts";
import { SystemError } from "../../sys/system-error.ts";
import { trySendNow } from "../../sys/unix-socket.ts";
import { type DaemonFailure, daemonFailure } from "./daemon-failure.ts";
import type { MessageSink } from "./message-sink.ts";

export interface InterleavedWriter {
  /** Sends all that `produce` gives. `framed` puts it in frames and ends them. @throws DaemonFailure */
  upload(produce: (onBytes: (bytes: Uint8Array) => void) => void, form: "framed" | "raw"): void;
}

const EAGAIN = 11;
const EPIPE = 32;
/** Pieces are gathered up to this many bytes. */
const bufferSize = 256 * 1024;
const headerSize = 8;

export function interleavedWriter(
  fd: number,
  input: FdReader,
  context: WireContext,
  sink: MessageSink,
): InterleavedWriter {
  const buffer = Buffer.allocUnsafeSlow(headerSize + bufferSize);

  /** @throws DaemonFailure when that is what the daemon says */
  function readOne(): void {
    const message = runSync(readMessage(context), input);
    switch (message.kind) {
      case "error":
        throw daemonFailure(message.failure);
      case "next":
      case "start-activity":
      case "stop-activity":
      case "result":
        sink.show(message);
        break;
      default:
        throw new Error(`the daemon sends '${message.kind}' before it has all data`);
    }
  }

  /** Sends all of a piece, also when a failure is reported in its middle: what has begun is what the daemon passes over. */
  function send(bytes: Uint8Array): void {
    let rest = bytes;
    let failure: DaemonFailure | undefined;
    while (rest.length > 0) {
      const sent = trySendNow(fd, rest);
      if (sent >= 0) {
        rest = rest.subarray(sent);
        continue;
      }
      // It has closed its end: what it had to say before is in the socket.
      if (sent === -EPIPE) for (;;) readOne();
      if (sent !== -EAGAIN) throw new SystemError("sending to the daemon", -sent);
      const [ready] = poll([{ fd, wait: failure === undefined ? "both" : "writable" }]);
      if (failure !== undefined || !(input.buffered > 0 || ready!.readable)) continue;
      try {
        readOne();
      } catch (error) {
        if (!isFromDaemon(error)) throw error;
        failure = error;
      }
    }
    if (failure !== undefined) throw failure;
  }

  return {
    upload(produce, form) {
      let length = 0;
      const flush = () => {
        if (length === 0) return;
        const isFramed = form === "framed";
        if (isFramed) buffer.set(encodeFrameHeader(length), 0);
        const piece = buffer.subarray(isFramed ? 0 : headerSize, headerSize + length);
        length = 0;
        send(piece);
      };
      try {
        produce((bytes) => {
          for (let at = 0; at < bytes.length; ) {
            if (length === bufferSize) flush();
            const part = bytes.subarray(at, at + bufferSize - length);
            buffer.set(part, headerSize + length);
            length += part.length;
            at += part.length;
          }
        });
        flush();
      } catch (error) {
        // The conversation can go on when the daemon knows that no more comes; it drains what has come.
        if (form === "framed" && isFromDaemon(error)) send(framesEnd);
        throw error;
      }
      if (form === "framed") send(framesEnd);
    },
  };
}

function isFromDaemon(error: unknown): error is DaemonFailure {
  return error instanceof Error && "code" in error && error.code === "daemon-failure";
}
