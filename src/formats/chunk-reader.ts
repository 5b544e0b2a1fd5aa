/** What `run` (codec.ts) reads from, over any stream of chunks, such as the body of a download. */
import { UnexpectedEnd } from "../error.ts";
import type { AsyncReader } from "./codec.ts";

/** Answers alias the chunks. @param source what the error of an early end calls the stream */
export function chunkReader(stream: AsyncIterable<Uint8Array>, source: string): AsyncReader {
  const iterator = stream[Symbol.asyncIterator]();
  let chunk: Uint8Array = new Uint8Array(0);
  let offset = 0;

  async function refill(): Promise<void> {
    while (chunk.length === 0) {
      const next = await iterator.next();
      if (next.done === true) throw new UnexpectedEnd(source, offset);
      chunk = next.value;
    }
  }

  function takeHere(n: number): Uint8Array {
    const taken = chunk.subarray(0, n);
    chunk = chunk.subarray(taken.length);
    offset += taken.length;
    return taken;
  }

  async function gather(n: number): Promise<Uint8Array> {
    const gathered = new Uint8Array(n);
    for (let length = 0; length < n; ) {
      if (chunk.length === 0) await refill();
      const part = takeHere(n - length);
      gathered.set(part, length);
      length += part.length;
    }
    return gathered;
  }

  return {
    take: (n) => (chunk.length >= n ? takeHere(n) : gather(n)),
    takeSome: (n) => (chunk.length > 0 ? takeHere(n) : refill().then(() => takeHere(n))),
  };
}
