/**
 * What a builder made, read once: canonical metadata, references, NAR hash, content hash and sharing of files in one pass.
 * A second pass is needed only where scratch hash parts have to be rewritten, or a copy is made.
 */
import { createHash } from "../node-crypto.ts";
import { HashRewriter } from "../formats/hash-rewrite.ts";
import type { Hash, HashAlgo } from "../formats/hash.ts";
import { createModuloHasher, type ModuloHasher } from "../formats/modulo-hash.ts";
import type { FileIngestionMethod } from "../formats/content-address.ts";
import { readNar } from "../formats/nar/read-nar.ts";
import { NarWriter } from "../formats/nar/write-nar.ts";
import type { NarVisitor } from "../formats/nar/visitor.ts";
import { ReferenceScanner } from "../formats/reference-scan.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { rename } from "../sys/names.ts";
import type { FileSharer } from "../store/optimise.ts";
import type { CanonicaliseOptions } from "../store/tree/canonical-metadata.ts";
import { walkCanonicalising } from "../store/tree/canonical-walk.ts";
import { dumpTree } from "../store/tree/nar-hash.ts";
import { restoreTree } from "../store/tree/restore.ts";
import { CodecFeeder } from "./codec-feeder.ts";

export interface TakenOutput {
  readonly narHash: Hash;
  readonly narSize: number;
  /** Of the candidates, after rewriting. */
  readonly referencedHashParts: ReadonlySet<string>;
  /** Of a fixed output: its hash by the method asked for, with the own hash part read as NULs. */
  readonly contentHash: Hash | undefined;
}

export interface TakeOptions {
  readonly canonical: CanonicaliseOptions;
  readonly sharer: FileSharer | undefined;
  /** Hash parts of what the output may refer to. */
  readonly candidates: ReadonlySet<string>;
  /** From scratch hash parts to those of the outputs. */
  readonly rewrites: ReadonlyMap<string, string>;
  /** `anew`: as a copy, since somebody else may have one of its files open and wait for a moment to write to it. */
  readonly place: "as-it-is" | "anew";
  readonly content:
    | { readonly method: FileIngestionMethod; readonly algo: HashAlgo; readonly selfHashPart: string }
    | undefined;
}

/**
 * @param path where the output is; there it stays
 * @throws SuspiciousFile, UnsupportedFile, CannotWriteNar, SystemError
 */
export function takeOutput(path: string, options: TakeOptions): TakenOutput {
  const { canonical, sharer, candidates, rewrites, content } = options;
  const scanner = new ReferenceScanner([...candidates, ...rewrites.keys()]);
  const content1 =
    content === undefined ? undefined : contentHasher(content.method, content.algo, content.selfHashPart);
  const hasher = createHash("sha256");
  const writer = new NarWriter((chunk) => {
    hasher.update(chunk);
    scanner.feed(chunk);
    if (content1?.kind === "nar") content1.hasher.feed(chunk);
  });
  const visitor = content1?.kind === "file" ? withContents(writer, content1.hasher) : writer;
  walkCanonicalising(path, visitor, canonical, options.place === "anew" ? undefined : sharer);
  const narSize = writer.finish();
  const found = scanner.finish();
  if (options.place === "anew" || [...rewrites.keys()].some((scratch) => found.has(scratch)))
    return rewriteOutput(path, options);
  return {
    narHash: { algo: "sha256", bytes: new Uint8Array(hasher.digest()) },
    narSize,
    referencedHashParts: found,
    contentHash: content1?.hasher.finish().hash,
  };
}

/** Writes the tree anew, with its hash parts replaced, and takes the result. */
function rewriteOutput(path: string, options: TakeOptions): TakenOutput {
  const rewritten = `${path}.tmp`;
  deleteTree(rewritten);
  const restorer = restoreTree(rewritten, "canonical");
  const feeder = new CodecFeeder(readNar(restorer));
  try {
    const rewriter = new HashRewriter(options.rewrites, (chunk) => feeder.feed(chunk));
    dumpTree(path, (chunk) => rewriter.feed(chunk));
    rewriter.finish();
    feeder.finish();
  } catch (error) {
    restorer.abandon();
    deleteTree(rewritten);
    throw error;
  }
  deleteTree(path);
  rename(rewritten, path);
  const selfHashPart =
    options.content && (options.rewrites.get(options.content.selfHashPart) ?? options.content.selfHashPart);
  return takeOutput(path, {
    ...options,
    rewrites: new Map(),
    place: "as-it-is",
    canonical: { ...options.canonical, builderUid: undefined },
    content: options.content === undefined ? undefined : { ...options.content, selfHashPart: selfHashPart! },
  });
}

function contentHasher(
  method: FileIngestionMethod,
  algo: HashAlgo,
  selfHashPart: string,
): { readonly kind: "nar" | "file"; readonly hasher: ModuloHasher } {
  return { kind: method === "recursive" ? "nar" : "file", hasher: createModuloHasher(selfHashPart, algo) };
}

/** Of a tree that is one file, the contents go to the hasher, too. */
function withContents(visitor: NarVisitor, hasher: ModuloHasher): NarVisitor {
  return {
    directory: (name) => visitor.directory(name),
    leaveDirectory: () => visitor.leaveDirectory(),
    file: (name, kind, size) => visitor.file(name, kind, size),
    contents(chunk) {
      hasher.feed(chunk);
      visitor.contents(chunk);
    },
    endFile: () => visitor.endFile(),
    symlink: (name, target) => visitor.symlink(name, target),
  };
}
