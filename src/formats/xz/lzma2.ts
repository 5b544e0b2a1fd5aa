/**
 * LZMA2: LZMA in chunks, between which the decoder may be reset, and chunks that are not compressed.
 *
 *     00                                      the end
 *     01 | 02  u16(size - 1) bytes            not compressed; 01 resets the dictionary
 *     80 | reset | high bits of size - 1,  u16(size - 1)  u16(compressed size - 1)  [properties]  bytes
 *
 * `reset` is 20 for the state, 40 for that and new properties, 60 for the dictionary, too. Numbers are big-endian.
 */
import { LzmaDecoder, type LzmaProperties } from "./lzma-decoder.ts";
import type { PushBytes, Step } from "./push-bytes.ts";

/** A chunk gives at most so many bytes. */
const maxChunk = 1 << 21;
const initialCapacity = 1 << 20;
const endsEarly = "the input ends unexpectedly";

/** What is wrong, or undefined. @param onBytes a chunk is valid during the call only */
export function* decodeLzma2(
  input: PushBytes,
  dictionarySize: number,
  onBytes: (chunk: Uint8Array) => void,
): Step<string | undefined> {
  const decoder = new LzmaDecoder();
  const window = createWindow(dictionarySize);
  let needs: "dictionary" | "properties" | "nothing" = "dictionary";
  for (;;) {
    const control = (yield* input.take(1))?.[0];
    if (control === undefined) return endsEarly;
    if (control === 0) return undefined;
    if (control > 2 && control < 0x80) return "a chunk is of a kind that is not known";
    const sizes: Uint8Array | undefined = yield* input.take(control < 0x80 ? 2 : 4);
    if (sizes === undefined) return endsEarly;
    const size = ((control < 0x80 ? 0 : control & 0x1f) << 16) + (sizes[0]! << 8) + sizes[1]! + 1;
    const resetsDictionary = control === 1 || control >= 0xe0;
    if (resetsDictionary) {
      window.forget();
      needs = "properties";
    } else if (needs === "dictionary") return "the first chunk does not reset the dictionary";

    if (control < 0x80) {
      const bytes = yield* input.take(size);
      if (bytes === undefined) return endsEarly;
      window.room(size);
      window.bytes.set(bytes, window.position);
      window.position += size;
    } else {
      const compressedSize: number = (sizes[2]! << 8) + sizes[3]! + 1;
      if (control >= 0xc0) {
        const byte: number | undefined = (yield* input.take(1))?.[0];
        if (byte === undefined) return endsEarly;
        const properties = parseProperties(byte);
        if (properties === undefined) return "the properties of a chunk cannot be";
        decoder.reset(properties);
        needs = "nothing";
      } else if (needs === "properties") return "no properties follow a reset of the dictionary";
      else if (control >= 0xa0) decoder.resetState();
      const bytes = yield* input.take(compressedSize);
      if (bytes === undefined) return endsEarly;
      window.room(size);
      const fault = decoder.decode(bytes, window, size, window.count);
      if (fault !== undefined) return `a chunk ${fault}`;
    }
    window.count += size;
    onBytes(window.bytes.subarray(window.position - size, window.position));
  }
}

function parseProperties(byte: number): LzmaProperties | undefined {
  if (byte > (4 * 5 + 4) * 9 + 8) return undefined;
  const lc = byte % 9;
  const lp = Math.floor(byte / 9) % 5;
  return lc + lp > 4 ? undefined : { lc, lp, pb: Math.floor(byte / 45) };
}

/** Keeps at least the last `dictionarySize` bytes, and moves them to the front when there is no room. */
function createWindow(dictionarySize: number) {
  // With half as much again, each byte is moved twice on average.
  const most = dictionarySize + Math.max(2 * maxChunk, dictionarySize >>> 1);
  return {
    bytes: new Uint8Array(initialCapacity),
    position: 0,
    /** Bytes since the dictionary was reset. */
    count: 0,
    get reach(): number {
      return Math.min(this.count, this.position, dictionarySize);
    },
    forget(): void {
      this.position = this.count = 0;
    },
    room(size: number): void {
      if (this.position + size <= this.bytes.length) return;
      const keep = this.reach;
      const capacity = Math.max(keep + size, Math.min(2 * this.bytes.length, most));
      const next = capacity > this.bytes.length ? new Uint8Array(capacity) : this.bytes;
      next.set(this.bytes.subarray(this.position - keep, this.position));
      this.bytes = next;
      this.position = keep;
    },
  };
}
