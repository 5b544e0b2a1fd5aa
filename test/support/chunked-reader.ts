/** An input that a test splits as it likes, and that spoils every answer at the next call, as readers may. */
import { UnexpectedEnd } from "../../src/error.ts";
import type { SyncReader } from "../../src/formats/codec.ts";

export interface ChunkedReader extends SyncReader {
  /** Bytes handed out. */
  readonly offset: number;
  /** The greatest want so far that asked for an exact number of bytes. */
  readonly greatestTake: number;
}

/** `splits` are how many bytes `takeSome` gives, in turn and over again. */
export function chunkedReader(bytes: Uint8Array, splits: readonly number[] = [1 << 20]): ChunkedReader {
  let offset = 0;
  let greatestTake = 0;
  let turn = 0;
  let answer = Buffer.alloc(0);
  function give(n: number): Uint8Array {
    answer.fill(0xee);
    if (n > bytes.length - offset) throw new UnexpectedEnd("test input", bytes.length);
    answer = Buffer.from(bytes.subarray(offset, offset + n)); // a Buffer, as descriptors give
    offset += n;
    return answer;
  }
  return {
    take(n) {
      greatestTake = Math.max(greatestTake, n);
      return give(n);
    },
    takeSome(n) {
      const split = splits[turn++ % splits.length]!;
      return give(Math.max(1, Math.min(n, split, bytes.length - offset)));
    },
    get offset() {
      return offset;
    },
    get greatestTake() {
      return greatestTake;
    },
  };
}

/** `bytes` cut into pieces of the given lengths, in turn and over again, for push objects. */
export function* cut(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length]!;
    yield Uint8Array.from(bytes.subarray(at, at + length));
    at += length;
  }
}
