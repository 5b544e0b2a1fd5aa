/**
 * One grammar, two drivers. A codec is a generator that knows no file, socket or promise: it yields how many bytes it
 * wants and is resumed with them. `runSync` drives it over a blocking reader, `run` over an asynchronous one.
 *
 * A want of `n > 0` is answered with exactly n bytes; a want of {@link upTo}(n) with at least one and at most n bytes,
 * whichever the reader has at hand, so that file contents travel in large chunks. The answer aliases the reader's
 * buffer and is valid until the next want: copy what you keep. A codec that threw is not used again.
 */
export type Want = number;
export type Codec<T> = Generator<Want, T, Uint8Array>;

/** The want for one to `n` bytes (n > 0). */
export function upTo(n: number): Want {
  return -n;
}

/** What `runSync` reads from. Both throw when the input ends early, naming the byte offset. */
export interface SyncReader {
  /** Exactly `n` bytes, n > 0. */
  take(n: number): Uint8Array;
  /** One to `n` bytes, n > 0. */
  takeSome(n: number): Uint8Array;
}

/** What `run` reads from; as {@link SyncReader}. */
export interface AsyncReader {
  take(n: number): Uint8Array | Promise<Uint8Array>;
  takeSome(n: number): Uint8Array | Promise<Uint8Array>;
}

export function runSync<T>(codec: Codec<T>, reader: SyncReader): T {
  let step = codec.next();
  while (!step.done) {
    const want = step.value;
    step = codec.next(want > 0 ? reader.take(want) : reader.takeSome(-want));
  }
  return step.value;
}

export async function run<T>(codec: Codec<T>, reader: AsyncReader): Promise<T> {
  let step = codec.next();
  while (!step.done) {
    const want = step.value;
    const answer = want > 0 ? reader.take(want) : reader.takeSome(-want);
    step = codec.next(answer instanceof Promise ? await answer : answer);
  }
  return step.value;
}
