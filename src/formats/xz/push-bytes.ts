/** The input of a push decoder that is written as a generator: it asks for bytes, and waits until they have been fed. */

export type Step<T> = Generator<undefined, T, undefined>;

export interface PushBytes {
  /** Bytes that were taken so far. */
  readonly offset: number;
  feed(chunk: Uint8Array): void;
  /** No more will come. */
  end(): void;
  /** Exactly `n` bytes, valid until the next call; undefined when the input ends before. */
  take(n: number): Step<Uint8Array | undefined>;
  atEnd(): Step<boolean>;
}

export function pushBytes(): PushBytes {
  let buffer = new Uint8Array(0);
  let at = 0;
  let offset = 0;
  let ended = false;
  return {
    get offset() {
      return offset;
    },
    feed(chunk) {
      const joined = new Uint8Array(buffer.length - at + chunk.length);
      joined.set(buffer.subarray(at));
      joined.set(chunk, buffer.length - at);
      buffer = joined;
      at = 0;
    },
    end() {
      ended = true;
    },
    *take(n) {
      while (buffer.length - at < n) {
        if (ended) return undefined;
        yield;
      }
      at += n;
      offset += n;
      return buffer.subarray(at - n, at);
    },
    *atEnd() {
      while (at === buffer.length) {
        if (ended) return true;
        yield;
      }
      return false;
    },
  };
}
