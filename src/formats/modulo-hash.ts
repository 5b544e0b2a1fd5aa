/**
 * The hash of a serialisation modulo its own path: what the path of a content-addressed object with references to itself is
 * computed from. Every occurrence of the hash part is read as 32 NUL bytes, and after the last byte follows, for each occurrence,
 * `|<offset>` in decimal. Without an occurrence it is the plain hash. See Nix, "HashModuloSink", since 2.4.
 */
import { createHash } from "../node-crypto.ts";
import type { Hash, HashAlgo } from "./hash.ts";
import { hashPartLength } from "./store-path.ts";

export interface ModuloHasher {
  /** The next bytes; any split of the input gives the same result. The chunk may be reused on return. */
  feed(chunk: Uint8Array): void;
  /** To be called once, after the last byte. */
  finish(): ModuloHashResult;
}

export interface ModuloHashResult {
  readonly hash: Hash;
  /** Byte offsets at which the hash part stood, ascending and not overlapping. Empty: no reference to itself. */
  readonly offsets: readonly number[];
}

const nuls = new Uint8Array(hashPartLength);
/** A large chunk is taken in pieces of this many bytes, since each is copied behind what is left of the one before. */
const pieceSize = 1 << 16;

/** `selfHashPart` is the hash part (32 characters) that the object uses for itself at the moment. */
export function createModuloHasher(selfHashPart: string, algo: HashAlgo = "sha256"): ModuloHasher {
  const needle = Buffer.from(selfHashPart, "latin1");
  if (needle.length !== hashPartLength) throw new Error(`hash part of ${needle.length} characters`);
  const hasher = createHash(algo);
  const offsets: number[] = [];
  /** Bytes seen but not yet hashed: an occurrence may begin in them. */
  let rest: Uint8Array = new Uint8Array(0);
  let restOffset = 0;

  function feedPiece(piece: Uint8Array): void {
    const window = Buffer.concat([rest, piece]);
    let done = 0;
    for (let at = window.indexOf(needle); at >= 0; at = window.indexOf(needle, done)) {
      hasher.update(window.subarray(done, at)).update(nuls);
      offsets.push(restOffset + at);
      done = at + hashPartLength;
    }
    const keepFrom = Math.max(done, window.length - (hashPartLength - 1));
    hasher.update(window.subarray(done, keepFrom));
    rest = window.subarray(keepFrom);
    restOffset += keepFrom;
  }

  return {
    feed(chunk) {
      for (let at = 0; at < chunk.length; at += pieceSize) feedPiece(chunk.subarray(at, at + pieceSize));
    },
    finish() {
      hasher.update(rest);
      for (const offset of offsets) hasher.update(`|${offset}`);
      return { hash: { algo, bytes: new Uint8Array(hasher.digest()) }, offsets };
    },
  };
}
