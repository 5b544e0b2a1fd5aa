/**
 * ssh2 writes each packet in three pieces: its length, its contents and its authentication tag. Written as they come these would be three system calls and
 * three segments of TCP, each of which wakes the server. Here all that is written in one turn of the event loop goes out together, from buffers that are
 * used again: memory that is taken anew for every packet costs more than its encryption.
 */
import type { Writable } from "node:stream";

const bufferSize = 256 * 1024;
/** Buffers that are kept for the next packets. */
const maxFree = 8;

/** Changes how `stream` takes chunks, whose bytes are copied. Order and ending stay what they are. */
export function gatherWrites(stream: Writable): void {
  const write = stream.write.bind(stream) as (chunk: Uint8Array, done: () => void) => boolean;
  const end = stream.end.bind(stream) as (...args: unknown[]) => Writable;
  const free: Buffer[] = [];
  let buffer: Buffer | undefined;
  let length = 0;

  function flush(): void {
    if (buffer === undefined) return;
    const written = buffer;
    const bytes = written.subarray(0, length);
    buffer = undefined;
    length = 0;
    if (stream.destroyed || stream.writableEnded) return;
    write(bytes, () => void (free.length < maxFree && free.push(written)));
  }

  stream.write = (chunk: Uint8Array) => {
    for (let at = 0; at < chunk.length; ) {
      if (buffer === undefined) {
        buffer = free.pop() ?? Buffer.allocUnsafeSlow(bufferSize);
        process.nextTick(flush);
      }
      const size = Math.min(chunk.length - at, bufferSize - length);
      buffer.set(size === chunk.length ? chunk : chunk.subarray(at, at + size), length);
      at += size;
      length += size;
      if (length === bufferSize) flush();
    }
    return !stream.writableNeedDrain;
  };
  stream.end = (...args: unknown[]) => {
    flush();
    return end(...args);
  };
}
