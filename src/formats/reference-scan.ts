/**
 * Finds references: which of a set of hash parts (32 nix32 characters) occur in a stream of bytes. A push object, so that the
 * read that hashes a NAR also scans it.
 */
import { createHashPartFilter, findHashPart, type HashPartFilter, openTail } from "./hash-part-search.ts";
import { hashPartLength } from "./store-path.ts";

export class ReferenceScanner {
  private readonly sought: Set<string>;
  private readonly found = new Set<string>();
  private readonly filter: HashPartFilter;
  /** The last bytes fed, as far as a hash part may begin in them, and room for what may complete it. */
  private readonly seam = Buffer.alloc(2 * (hashPartLength - 1));
  private seamLength = 0;

  constructor(hashParts: Iterable<string>) {
    this.sought = new Set(hashParts);
    this.filter = createHashPartFilter(this.sought);
  }

  /** The next bytes; any split of the input gives the same result. The chunk may be reused on return. */
  feed(chunk: Uint8Array): void {
    if (this.sought.size === 0) return;
    let last = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    if (this.seamLength > 0) {
      const head = last.subarray(0, hashPartLength - 1);
      this.seam.set(head, this.seamLength);
      const joined = this.seam.subarray(0, this.seamLength + head.length);
      this.scan(joined);
      if (last.length < hashPartLength) last = joined;
    }
    this.scan(last);
    this.seamLength = openTail(last);
    this.seam.set(last.subarray(last.length - this.seamLength));
  }

  /** The hash parts that occurred so far. */
  finish(): ReadonlySet<string> {
    return this.found;
  }

  private scan(bytes: Buffer): void {
    for (let at = findHashPart(bytes, 0, this.filter); at >= 0; at = findHashPart(bytes, at + 1, this.filter)) {
      const hashPart = bytes.toString("latin1", at, at + hashPartLength);
      this.found.add(hashPart);
      this.sought.delete(hashPart);
    }
  }
}
