/** Hash and size of NARs: as a visitor, and of trees on disk. */
import { createHash } from "../../formats/node-crypto.ts";
import type { Hash, HashAlgo } from "../../formats/hash.ts";
import type { NarVisitor } from "../../formats/nar/visitor.ts";
import { NarWriter } from "../../formats/nar/write-nar.ts";
import { type PathFilter, walkTree } from "./walk.ts";

export interface NarDigest {
  readonly hash: Hash;
  /** Bytes of the NAR. */
  readonly size: number;
}

export interface NarHasher {
  readonly visitor: NarVisitor;
  /** When the tree is complete. */
  finish(): NarDigest;
}

export function narHasher(algo: HashAlgo): NarHasher {
  const hasher = createHash(algo);
  const writer = new NarWriter((chunk) => hasher.update(chunk));
  return {
    visitor: writer,
    finish() {
      const size = writer.finish();
      return { hash: { algo, bytes: new Uint8Array(hasher.digest()) }, size };
    },
  };
}

/** Reads the whole tree. @throws UnsupportedFile, SystemError */
export function hashTree(path: string, algo: HashAlgo, filter?: PathFilter): NarDigest {
  const hasher = narHasher(algo);
  walkTree(path, hasher.visitor, filter);
  return hasher.finish();
}

/** Hands the NAR of a tree to `onBytes`, chunk by chunk; returns its size. @throws UnsupportedFile, SystemError */
export function dumpTree(path: string, onBytes: (chunk: Uint8Array) => void, filter?: PathFilter): number {
  const writer = new NarWriter(onBytes);
  walkTree(path, writer, filter);
  return writer.finish();
}
