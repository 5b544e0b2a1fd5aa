/**
 * How store paths are computed. The hash part is the sha256 of a fingerprint, folded to 20 bytes and printed in Nix base32:
 *
 *     <type>:sha256:<inner hash in base16>:<store directory>:<name>
 *
 *     type                               inner hash                                        for
 *     text{:<reference>}                 contents                                          text (.drv, toFile)
 *     source{:<reference>}[:self]        NAR, modulo itself if it refers to itself         trees by recursive sha256
 *     output:out                         `fixed:out:[r:]<algo>:<hash in base16>:`          other fixed contents
 *     output:<output>                    the derivation, modulo (derivation/hash-modulo.ts) outputs of derivations
 *     rewrite:<.drv>:<output path>       32 zero bytes                                     scratch outputs
 *     rewrite:<.drv>:name:<output>       32 zero bytes                                     same, path not known yet
 *
 * References are full paths, ascending bytewise. See the Nix manual, "Complete store path calculation".
 */
import { SiloError } from "../error.ts";
import { encodeBase32 } from "./base32.ts";
import { compareBytes } from "./byte-string.ts";
import type { ContentAddress, FileIngestionMethod } from "./content-address.ts";
import { compressHash, type Hash, hashBytes, printBareHash, printHash } from "./hash.ts";
import {
  BadStorePath,
  hashPart,
  nameOf,
  parseStorePath,
  printStorePath,
  type StoreDir,
  type StorePath,
} from "./store-path.ts";

/** What an object refers to; `self` says whether that includes itself, whose path is what we want to know. */
export interface PathReferences {
  readonly others: Iterable<StorePath>;
  readonly self: "self" | "no-self";
}

export const noReferences: PathReferences = { others: [], self: "no-self" };

/** Only text and recursive sha256 have a place for references in their path. */
export class ReferencesNotAllowed extends SiloError {
  readonly code = "references-not-allowed";
  constructor(
    readonly pathName: string,
    readonly reason: string,
  ) {
    super(`Cannot compute the store path of ${JSON.stringify(pathName)}: ${reason}`);
  }
}

/** @throws BadStorePath for a name that is none */
export function makeStorePath(dir: StoreDir, type: string, inner: Hash, name: string): StorePath {
  const fingerprint = `${type}:${printHash(inner, "base16")}:${dir}:${name}`;
  const folded = compressHash(hashBytes("sha256", fingerprint).bytes, storePathHashSize);
  return parseStorePath(`${encodeBase32(folded)}-${name}`);
}

/** `contents` is the sha256 of the text. @throws BadStorePath */
export function makeTextPath(dir: StoreDir, name: string, contents: Hash, references: Iterable<StorePath>): StorePath {
  return makeStorePath(dir, typeWithReferences(dir, "text", references), contents, name);
}

/** `tree` is the sha256 of the NAR, modulo the path itself if there is a reference to it. @throws BadStorePath */
export function makeSourcePath(dir: StoreDir, name: string, tree: Hash, references: PathReferences): StorePath {
  const type = typeWithReferences(dir, "source", references.others);
  return makeStorePath(dir, references.self === "self" ? `${type}:self` : type, tree, name);
}

/** The path of an object with a known hash, as fixed-output derivations and `--add-fixed` have it. @throws ReferencesNotAllowed, BadStorePath */
export function makeFixedOutputPath(
  dir: StoreDir,
  name: string,
  method: FileIngestionMethod,
  hash: Hash,
  references: PathReferences = noReferences,
): StorePath {
  if (method === "recursive" && hash.algo === "sha256") return makeSourcePath(dir, name, hash, references);
  if (references.self === "self" || !isEmpty(references.others)) {
    const what = method === "flat" ? "a flat file" : `a ${hash.algo} content address`;
    throw new ReferencesNotAllowed(name, `${what} cannot have references`);
  }
  const inner = `fixed:out:${method === "recursive" ? "r:" : ""}${printHash(hash, "base16")}:`;
  return makeStorePath(dir, "output:out", hashBytes("sha256", inner), name);
}

/** @throws ReferencesNotAllowed, BadStorePath */
export function makeContentAddressedPath(
  dir: StoreDir,
  name: string,
  address: ContentAddress,
  references: PathReferences = noReferences,
): StorePath {
  if (address.kind === "fixed") return makeFixedOutputPath(dir, name, address.method, address.hash, references);
  if (references.self === "self") throw new ReferencesNotAllowed(name, "text cannot refer to itself");
  return makeTextPath(dir, name, address.hash, references.others);
}

/** The path of an input-addressed output; `modulo` is the masked hash of its derivation. @throws BadStorePath */
export function makeOutputPath(dir: StoreDir, derivationName: string, output: string, modulo: Hash): StorePath {
  return makeStorePath(dir, `output:${output}`, modulo, outputPathName(derivationName, output));
}

/** The name part of an output's path: the derivation's name, with `-<output>` behind it unless the output is `out`. */
export function outputPathName(derivationName: string, output: string): string {
  return output === "out" ? derivationName : `${derivationName}-${output}`;
}

/** Where the builder of `drvPath` writes in the place of `output` when that path is taken. */
export function makeScratchPath(dir: StoreDir, drvPath: StorePath, output: StorePath): StorePath {
  return makeStorePath(dir, `rewrite:${drvPath}:${output}`, zeroHash, nameOf(output));
}

/** Where the builder of `drvPath` writes an output whose path depends on what it writes. @throws BadStorePath */
export function makeFloatingScratchPath(dir: StoreDir, drvPath: StorePath, output: string): StorePath {
  return makeStorePath(
    dir,
    `rewrite:${drvPath}:name:${output}`,
    zeroHash,
    outputPathName(derivationName(drvPath), output),
  );
}

/** What stands for the path of the derivation's own output in its environment and arguments until the path is known. */
export function outputPlaceholder(output: string): string {
  return `/${sha256Base32(`nix-output:${output}`)}`;
}

/** What stands for another derivation's output whose path is not known yet. @throws BadStorePath for a path that is no derivation */
export function downstreamPlaceholder(drvPath: StorePath, output: string): string {
  const name = outputPathName(derivationName(drvPath), output);
  return `/${sha256Base32(`nix-upstream-output:${hashPart(drvPath)}:${name}`)}`;
}

/** The name of the derivation that the file `drvPath` holds: without `.drv`. @throws BadStorePath */
export function derivationName(drvPath: StorePath): string {
  const name = nameOf(drvPath);
  if (!name.endsWith(".drv") || name.length === 4)
    throw new BadStorePath(drvPath, "is not a derivation: expected <name>.drv");
  return name.slice(0, -4);
}

const storePathHashSize = 20;
const zeroHash: Hash = { algo: "sha256", bytes: new Uint8Array(32) };

function typeWithReferences(dir: StoreDir, type: string, references: Iterable<StorePath>): string {
  const sorted = [...new Set(references)].sort(compareBytes);
  return [type, ...sorted.map((path) => printStorePath(dir, path))].join(":");
}

function isEmpty(paths: Iterable<StorePath>): boolean {
  for (const _ of paths) return false;
  return true;
}

function sha256Base32(text: string): string {
  return printBareHash(hashBytes("sha256", text), "base32");
}
