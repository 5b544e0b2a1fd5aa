/** Buffered blocking reads from a descriptor, in the shape that `runSync` takes (formats/codec.ts). */
import { read, writeAll } from "./descriptor.ts";
import { receiveFile } from "./transfer.ts";
import { UnexpectedEnd } from "../error.ts";

export interface FdReader {
  take(n: number): Uint8Array;
  takeSome(n: number): Uint8Array;
  /**
   * As `takeSome`, but the bytes go to a file, without passing through this process where the kernel can do that. Returns how
   * many. @throws UnexpectedEnd, SystemError
   */
  transferSome(toFd: number, n: number): number;
  /** True when nothing is left; reads ahead to find out. */
  atEnd(): boolean;
  /** Bytes handed out so far. */
  readonly offset: number;
  /** Bytes that were read ahead. */
  readonly buffered: number;
  /** The bytes that were read ahead; they are not taken. */
  peek(): Buffer;
}

const bufferSize = 256 * 1024;

/**
 * Reads ahead, up to 256 KiB: what comes behind on the same descriptor must be read through the same reader.
 * Answers alias the buffer until the next call. A `take` larger than the buffer gets one of its own: the caller has
 * checked the size.
 * @param source what the errors call the input, such as `standard input`
 */
export function fdReader(fd: number, source: string): FdReader {
  let buffer = Buffer.allocUnsafeSlow(bufferSize);
  let start = 0;
  let end = 0;
  let handedOut = 0;
  let canTransfer = true;

  /** Makes at least `n` bytes available, or as many as come before the end. */
  function fill(n: number): void {
    if (n > buffer.length || start + n > buffer.length) {
      const target = n > buffer.length ? Buffer.allocUnsafeSlow(n) : buffer;
      target.set(buffer.subarray(start, end));
      buffer = target;
      end -= start;
      start = 0;
    }
    while (end - start < n) {
      const count = read(fd, buffer.subarray(end));
      if (count === 0) return;
      end += count;
    }
  }

  function handOut(n: number): Uint8Array {
    const bytes = buffer.subarray(start, start + n);
    start += n;
    handedOut += n;
    if (start === end) start = end = 0;
    return bytes;
  }

  return {
    take(n) {
      if (end - start < n) fill(n);
      if (end - start < n) throw new UnexpectedEnd(source, handedOut + end - start);
      return handOut(n);
    },
    takeSome(n) {
      if (start === end) fill(1);
      if (start === end) throw new UnexpectedEnd(source, handedOut);
      return handOut(Math.min(n, end - start));
    },
    transferSome(toFd, n) {
      if (start === end && canTransfer) {
        const count = receiveFile(fd, toFd, n);
        // Some files that only pretend to be any have nothing to give this way: reading tells their end.
        if (count > 0) {
          handedOut += count;
          return count;
        }
        canTransfer = false;
      }
      const bytes = this.takeSome(n);
      writeAll(toFd, bytes);
      return bytes.length;
    },
    atEnd() {
      if (start === end) fill(1);
      return start === end;
    },
    get offset() {
      return handedOut;
    },
    get buffered() {
      return end - start;
    },
    peek: () => buffer.subarray(start, end),
  };
}
