/**
 * Framed data: contents of unknown length inside a conversation.
 *
 *     framed = {u64 length, length bytes}... u64 0       lengths are not 0, and there is no padding
 *
 * Whoever stops reading early drains the rest, so that the conversation can go on.
 */
import type { SyncReader } from "../codec.ts";
import { UnexpectedEnd } from "../../error.ts";
import { BadWire, approximateU64, exactU64 } from "../wire.ts";

export interface FramedReader extends SyncReader {
  /** True when no byte is left; looks at the next frame to find out. */
  atEnd(): boolean;
  /** Passes over what is left, to the end of the last frame. */
  drain(): void;
}

/** Bytes of one frame at most: frames are handed on as they come, so it guards against nonsense only. */
const maxFrameBytes = Number.MAX_SAFE_INTEGER;

/** What the frames hold. Throws {@link UnexpectedEnd} beyond the last one. */
export function framedReader(input: SyncReader): FramedReader {
  /** Bytes of the current frame that were not read. */
  let left = 0;
  let ended = false;
  let handedOut = 0;

  function nextFrame(): void {
    while (left === 0 && !ended) {
      const header = input.take(8);
      const length = approximateU64(header, 0);
      if (length > maxFrameBytes) throw new BadWire("length of frame", `${exactU64(header, 0)} is too large`);
      if (length === 0) ended = true;
      left = length;
    }
  }

  function takeSome(n: number): Uint8Array {
    nextFrame();
    if (ended) throw new UnexpectedEnd("framed data", handedOut);
    const bytes = input.takeSome(Math.min(n, left));
    left -= bytes.length;
    handedOut += bytes.length;
    return bytes;
  }

  return {
    takeSome,
    take(n) {
      nextFrame();
      if (!ended && left >= n) {
        left -= n;
        handedOut += n;
        return input.take(n);
      }
      let whole = new Uint8Array(Math.min(n, 65536));
      for (let length = 0; length < n; ) {
        const bytes = takeSome(n - length);
        if (length + bytes.length > whole.length) {
          const larger = new Uint8Array(Math.min(n, Math.max(whole.length * 2, length + bytes.length)));
          larger.set(whole);
          whole = larger;
        }
        whole.set(bytes, length);
        length += bytes.length;
      }
      return whole.subarray(0, n);
    },
    atEnd() {
      nextFrame();
      return ended;
    },
    drain() {
      for (nextFrame(); !ended; nextFrame()) left -= input.takeSome(Math.min(left, 1 << 18)).length;
    },
  };
}

/** What precedes a frame of `length` bytes, which is not 0. */
export function encodeFrameHeader(length: number): Uint8Array {
  const header = Buffer.allocUnsafe(8);
  header.writeBigUInt64LE(BigInt(length));
  return header;
}

/** What ends framed data. */
export const framesEnd: Uint8Array = new Uint8Array(8);
