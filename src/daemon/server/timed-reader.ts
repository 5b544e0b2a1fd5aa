/** Reading from a descriptor up to a moment: for clients that are given no more time. */
import { SiloError, UnexpectedEnd } from "../../error.ts";
import type { SyncReader } from "../../formats/codec.ts";
import { read } from "../../sys/descriptor.ts";
import { poll } from "../../sys/poll.ts";

export class TooSlow extends SiloError {
  readonly code = "too-slow";
}

/** Reads no more than was asked for. @param deadline in milliseconds since the epoch */
export function timedReader(fd: number, deadline: number): SyncReader & { atEnd(): boolean } {
  let ahead: number | undefined;

  function readSome(buffer: Uint8Array): number {
    const left = deadline - Date.now();
    if (left <= 0 || !poll([{ fd, wait: "readable" }], left)[0]!.readable) throw new TooSlow("the client is too slow");
    return read(fd, buffer);
  }

  function takeSome(n: number): Uint8Array {
    const buffer = Buffer.alloc(n);
    if (ahead !== undefined) {
      buffer[0] = ahead;
      ahead = undefined;
      return buffer.subarray(0, 1);
    }
    const count = readSome(buffer);
    if (count === 0) throw new UnexpectedEnd("the client", 0);
    return buffer.subarray(0, count);
  }

  return {
    takeSome,
    take(n) {
      const whole = Buffer.alloc(n);
      for (let length = 0; length < n; ) {
        const part = takeSome(n - length);
        whole.set(part, length);
        length += part.length;
      }
      return whole;
    },
    atEnd() {
      if (ahead !== undefined) return false;
      const byte = Buffer.alloc(1);
      if (readSome(byte) === 0) return true;
      ahead = byte[0];
      return false;
    },
  };
}
