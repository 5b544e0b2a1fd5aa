/** Drives a codec from the side of the bytes: for streams that somebody else pushes, where nobody can be asked for more. */
import type { Codec } from "../formats/codec.ts";
import { SiloError } from "../error.ts";

export class StreamEnded extends SiloError {
  readonly code = "stream-ended";
  constructor() {
    super("Cannot read on: the stream ends in the middle of an item");
  }
}

export class CodecFeeder<T> {
  private step: IteratorResult<number, T>;
  /** What has come of a want that is not complete. */
  private pending = Buffer.alloc(0);

  constructor(private readonly codec: Codec<T>) {
    this.step = codec.next();
  }

  /** The chunk may be reused on return. Bytes behind the end of the item are dropped. @throws what the codec throws */
  feed(chunk: Uint8Array): void {
    let rest: Uint8Array = chunk;
    while (rest.length > 0 && !this.step.done) {
      const want = this.step.value;
      if (want < 0) {
        const taken = rest.subarray(0, -want);
        rest = rest.subarray(taken.length);
        this.step = this.codec.next(taken);
        continue;
      }
      const missing = want - this.pending.length;
      if (rest.length < missing) {
        this.pending = Buffer.concat([this.pending, rest]);
        return;
      }
      const answer =
        this.pending.length === 0 ? rest.subarray(0, want) : Buffer.concat([this.pending, rest.subarray(0, missing)]);
      rest = rest.subarray(missing);
      this.pending = Buffer.alloc(0);
      this.step = this.codec.next(answer);
    }
  }

  /** @throws StreamEnded */
  finish(): T {
    if (!this.step.done) throw new StreamEnded();
    return this.step.value;
  }
}
