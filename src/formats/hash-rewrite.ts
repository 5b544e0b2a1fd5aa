/**
 * Replaces hash parts (32 nix32 characters) in a stream of bytes by others of the same length: outputs built at a scratch
 * path are moved to their own this way. A push object; occurrences are found from left to right and do not overlap.
 */
import { createHashPartFilter, findHashPart, type HashPartFilter, openTail } from "./hash-part-search.ts";
import { hashPartLength } from "./store-path.ts";

/** How much is joined with bytes that were held back, at most. */
const joinSize = 1024;

export class HashRewriter {
  private readonly replacements: ReadonlyMap<string, Buffer>;
  private readonly filter: HashPartFilter;
  private readonly offsets: number[] = [];
  /** The last bytes fed, as far as a hash part may begin in them: not handed on yet. */
  private held: Buffer = Buffer.alloc(0);
  /** Bytes handed on. */
  private offset = 0;

  /**
   * @param replacements from hash part to 32 bytes, as a byte string
   * @param onBytes gets the rewritten stream; a chunk is valid during the call only
   */
  constructor(
    replacements: ReadonlyMap<string, string>,
    private readonly onBytes: (chunk: Uint8Array) => void,
  ) {
    this.filter = createHashPartFilter(replacements);
    this.replacements = new Map(Array.from(replacements, ([from, to]) => [from, Buffer.from(to, "latin1")]));
    for (const to of this.replacements.values()) {
      if (to.length !== hashPartLength) throw new Error(`a replacement has ${to.length} bytes`);
    }
  }

  /** The next bytes; any split of the input gives the same stream. The chunk may be reused on return. */
  feed(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && this.held.length > 0) {
      const head = chunk.subarray(at, at + joinSize);
      at += head.length;
      this.rewrite(Buffer.concat([this.held, head]));
    }
    if (at < chunk.length) this.rewrite(Buffer.from(chunk.buffer, chunk.byteOffset + at, chunk.length - at));
  }

  /** Hands on what was held back. Returns the byte offsets of the replaced hash parts, ascending. */
  finish(): readonly number[] {
    this.emit(this.held);
    this.held = Buffer.alloc(0);
    return this.offsets;
  }

  private rewrite(bytes: Buffer): void {
    let done = 0;
    for (let at = findHashPart(bytes, 0, this.filter); at >= 0; at = findHashPart(bytes, done, this.filter)) {
      this.emit(bytes.subarray(done, at));
      done = at + hashPartLength;
      this.offsets.push(this.offset);
      this.emit(this.replacements.get(bytes.toString("latin1", at, done))!);
    }
    const end = Math.max(done, bytes.length - openTail(bytes));
    this.emit(bytes.subarray(done, end));
    this.held = Buffer.from(bytes.subarray(end));
  }

  private emit(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.offset += bytes.length;
    this.onBytes(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)); // no Buffer, whose `slice` does not copy
  }
}
