/**
 * Hashes and their text forms: base16, Nix base32, base64 and SRI, for md5, sha1, sha256 and sha512.
 *
 * The encoding of a hash text follows from its length alone, which never coincides for one algorithm; SRI
 * (`sha256-<base64>`) is always base64. `sha256:<text>` names the algorithm in front. See the Nix manual, "nix hash".
 */
import { createHash } from "../node-crypto.ts";
import { SiloError } from "../error.ts";
import { base32Length, decodeBase32, encodeBase32 } from "./base32.ts";

export type HashAlgo = "md5" | "sha1" | "sha256" | "sha512";
export type HashEncoding = "base16" | "base32" | "base64";

export interface Hash {
  readonly algo: HashAlgo;
  readonly bytes: Uint8Array;
}

export class BadHash extends SiloError {
  readonly code = "bad-hash";
  constructor(
    readonly input: string,
    readonly reason: string,
  ) {
    super(`Cannot parse hash ${JSON.stringify(input)}: ${reason}`);
  }
}

/** Digest sizes in bytes. */
export const hashSize: Readonly<Record<HashAlgo, number>> = { md5: 16, sha1: 20, sha256: 32, sha512: 64 };

export function isHashAlgo(text: string): text is HashAlgo {
  return Object.hasOwn(hashSize, text);
}

/** @throws BadHash for a name that is none of the four */
export function parseHashAlgo(text: string): HashAlgo {
  if (!isHashAlgo(text)) throw new BadHash(text, "unknown hash algorithm, expected md5, sha1, sha256 or sha512");
  return text;
}

/** The hash of bytes or of a byte string (see byte-string.ts: units are bytes). */
export function hashBytes(algo: HashAlgo, data: Uint8Array | string): Hash {
  const hasher = createHash(algo);
  if (typeof data === "string") hasher.update(data, "latin1");
  else hasher.update(data);
  return { algo, bytes: new Uint8Array(hasher.digest()) };
}

/** `text` without an algorithm in front, in whichever encoding its length says. @throws BadHash */
export function parseBareHash(text: string, algo: HashAlgo): Hash {
  const size = hashSize[algo];
  if (text.length === size * 2) {
    if (!/^[0-9a-fA-F]*$/.test(text)) throw new BadHash(text, "invalid base-16 hash: a character is not hexadecimal");
    return { algo, bytes: new Uint8Array(Buffer.from(text, "hex")) };
  }
  if (text.length === base32Length(size)) {
    const bytes = decodeBase32(text, size);
    if (bytes === undefined)
      throw new BadHash(text, "invalid base-32 hash: not 'e', 'o', 'u', 't', upper case or excess bits");
    return { algo, bytes };
  }
  const bytes = decodeBase64(text, size);
  if (bytes !== undefined) return { algo, bytes };
  throw new BadHash(text, `wrong length for hash type '${algo}': ${text.length} characters`);
}

/**
 * Any text form. `algo` is what the context says; a prefix must agree with it.
 * @throws BadHash
 */
export function parseHash(text: string, algo?: HashAlgo): Hash {
  const typed = /^([^:-]*)([:-])/.exec(text);
  if (typed === null) {
    if (algo === undefined) throw new BadHash(text, "does not include a type, and the type is not known from context");
    return parseBareHash(text, algo);
  }
  const [prefix, name, separator] = typed as unknown as [string, string, string];
  const stated = parseHashAlgo(name);
  if (algo !== undefined && stated !== algo) throw new BadHash(text, `should have type '${algo}' but has '${stated}'`);
  const rest = text.slice(prefix.length);
  if (separator === ":") return parseBareHash(rest, stated);
  const bytes = decodeBase64(rest, hashSize[stated]);
  if (bytes === undefined)
    throw new BadHash(text, "invalid SRI hash: the part after the dash is not base-64 of the right size");
  return { algo: stated, bytes };
}

/** The digest alone. Base-16 is lower case, base-64 padded. */
export function printBareHash(hash: Hash, encoding: HashEncoding): string {
  switch (encoding) {
    case "base16":
      return Buffer.from(hash.bytes).toString("hex");
    case "base32":
      return encodeBase32(hash.bytes);
    case "base64":
      return Buffer.from(hash.bytes).toString("base64");
  }
}

/** `<algo>:<digest>` */
export function printHash(hash: Hash, encoding: HashEncoding): string {
  return `${hash.algo}:${printBareHash(hash, encoding)}`;
}

/** `<algo>-<base64>` */
export function printSri(hash: Hash): string {
  return `${hash.algo}-${printBareHash(hash, "base64")}`;
}

export function equalHashes(a: Hash, b: Hash): boolean {
  return a.algo === b.algo && a.bytes.length === b.bytes.length && a.bytes.every((byte, i) => byte === b.bytes[i]);
}

/** Folds a digest to `size` bytes by XOR, as store paths and `nix-hash --truncate` do. */
export function compressHash(bytes: Uint8Array, size: number): Uint8Array {
  const folded = new Uint8Array(size);
  for (let i = 0; i < bytes.length; i++) folded[i % size]! ^= bytes[i]!;
  return folded;
}

/** Strict base-64 of exactly `size` bytes; the padding may be left out. */
function decodeBase64(text: string, size: number): Uint8Array | undefined {
  const unpadded = text.replace(/={1,2}$/, "");
  if (unpadded.length !== Math.ceil((size * 4) / 3)) return undefined;
  if (unpadded.length !== text.length && text.length % 4 !== 0) return undefined;
  if (!/^[A-Za-z0-9+/]*$/.test(unpadded)) return undefined;
  const bytes = new Uint8Array(Buffer.from(unpadded, "base64"));
  return Buffer.from(bytes).toString("base64").replace(/=+$/, "") === unpadded ? bytes : undefined;
}
