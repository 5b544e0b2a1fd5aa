/**
 * Content addresses: how a store path follows from what it holds, as text in the `ca` column of the database, in narinfo
 * (`CA:`) and on the wire.
 *
 *     text:sha256:<hash>       a file that is text with references (derivations, builtins.toFile)
 *     fixed:<algo>:<hash>      the contents of a regular file
 *     fixed:r:<algo>:<hash>    the NAR serialisation of a tree
 *
 * Printed in Nix base32, read in base16, base32 or base64. Without `:<hash>` it is a method ("CAMethod" in AddToStore). See the
 * Nix manual, "Content-addressing store objects". `fixed:git:` of today's experimental Nix is refused.
 */
import { SiloError } from "../error.ts";
import { BadHash, type Hash, type HashAlgo, isHashAlgo, parseBareHash, printHash } from "./hash.ts";

/** What is hashed of a fixed object: the contents of a file, or the NAR of a tree. */
export type FileIngestionMethod = "flat" | "recursive";

export type ContentAddress =
  | { readonly kind: "text"; readonly hash: Hash }
  | { readonly kind: "fixed"; readonly method: FileIngestionMethod; readonly hash: Hash };

/** A content address whose hash is not known yet. */
export type ContentAddressMethod =
  | { readonly kind: "text"; readonly hashAlgo: HashAlgo }
  | { readonly kind: "fixed"; readonly method: FileIngestionMethod; readonly hashAlgo: HashAlgo };

export class BadContentAddress extends SiloError {
  readonly code = "bad-content-address";
  constructor(
    readonly input: string,
    readonly reason: string,
  ) {
    super(`Cannot parse content address ${JSON.stringify(input)}: ${reason}`);
  }
}

/** @throws BadContentAddress also for the empty string, which means "none" where it may stand */
export function parseContentAddress(text: string): ContentAddress {
  const colon = text.lastIndexOf(":");
  if (colon < 0) throw new BadContentAddress(text, "is not in the form '<prefix>:<rest>'");
  const method = parseMethod(text.slice(0, colon), text);
  return contentAddressOf(method, parseHashOf(text.slice(colon + 1), method.hashAlgo, text));
}

/** As {@link parseContentAddress}, with undefined for the empty string. */
export function parseOptionalContentAddress(text: string): ContentAddress | undefined {
  return text === "" ? undefined : parseContentAddress(text);
}

export function printContentAddress(address: ContentAddress): string {
  return contentAddressPrefix(address) + printHash(address.hash, "base32");
}

/** `text:sha256`, `fixed:<algo>` or `fixed:r:<algo>`. @throws BadContentAddress */
export function parseContentAddressMethod(text: string): ContentAddressMethod {
  return parseMethod(text, text);
}

export function printContentAddressMethod(method: ContentAddressMethod): string {
  return contentAddressPrefix(method) + method.hashAlgo;
}

/** The content address that `method` gives to contents of this hash, which must be of the method's algorithm. */
export function contentAddressOf(method: ContentAddressMethod, hash: Hash): ContentAddress {
  return method.kind === "text" ? { kind: "text", hash } : { kind: "fixed", method: method.method, hash };
}

export function methodOf(address: ContentAddress): ContentAddressMethod {
  const hashAlgo = address.hash.algo;
  return address.kind === "text" ? { kind: "text", hashAlgo } : { kind: "fixed", method: address.method, hashAlgo };
}

function contentAddressPrefix(address: ContentAddress | ContentAddressMethod): string {
  if (address.kind === "text") return "text:";
  return address.method === "flat" ? "fixed:" : "fixed:r:";
}

/** `whole` is what an error quotes. */
function parseMethod(text: string, whole: string): ContentAddressMethod {
  const parts = text.split(":");
  const algo = parts.pop()!;
  const prefix = parts.join(":");
  if (prefix !== "text" && prefix !== "fixed" && prefix !== "fixed:r")
    throw new BadContentAddress(whole, `prefix ${JSON.stringify(prefix)} is none of 'text', 'fixed' and 'fixed:r'`);
  if (!isHashAlgo(algo)) throw new BadContentAddress(whole, `unknown hash algorithm ${JSON.stringify(algo)}`);
  if (prefix !== "text") return { kind: "fixed", method: prefix === "fixed" ? "flat" : "recursive", hashAlgo: algo };
  if (algo !== "sha256") throw new BadContentAddress(whole, "text is addressed by sha256 only");
  return { kind: "text", hashAlgo: algo };
}

function parseHashOf(text: string, algo: HashAlgo, whole: string): Hash {
  try {
    return parseBareHash(text, algo);
  } catch (error) {
    if (error instanceof BadHash) throw new BadContentAddress(whole, error.reason);
    throw error;
  }
}
