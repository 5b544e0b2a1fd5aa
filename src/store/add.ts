/** Adding to the store: trees, files and texts, whose paths follow from what they hold. */
import { runSync, type SyncReader } from "../formats/codec.ts";
import type { ContentAddressMethod } from "../formats/content-address.ts";
import { type ContentAddress, contentAddressOf } from "../formats/content-address.ts";
import type { Hash, HashAlgo } from "../formats/hash.ts";
import { makeContentAddressedPath, type PathReferences } from "../formats/make-store-path.ts";
import type { NarVisitor } from "../formats/nar/visitor.ts";
import { readNar } from "../formats/nar/read-nar.ts";
import type { ByteString } from "../formats/byte-string.ts";
import { checkName, type StoreDir, type StorePath } from "../formats/store-path.ts";
import { SiloError } from "../error.ts";
import type { LocalStore } from "./local-store.ts";
import { type PlaceMode, placeObject } from "./place-object.ts";
import { requireWritable } from "./open-local-store.ts";
import { receiveTree } from "./receive-tree.ts";
import { hashTree, narHasher } from "./tree/nar-hash.ts";
import { streamHash } from "./tree/stream-hash.ts";
import { type PathFilter, walkTree } from "./tree/walk.ts";

/** How an object that is added is named and addressed. */
export interface AddOptions {
  readonly name: string;
  readonly method: ContentAddressMethod;
  /** Only text and recursive sha256 may have some. */
  readonly references?: readonly StorePath[];
  readonly mode?: PlaceMode;
}

/** The default: a tree by the sha256 of its NAR. */
export const recursiveSha256: ContentAddressMethod = { kind: "fixed", method: "recursive", hashAlgo: "sha256" };

/** A flat object must be a regular file. */
export class NotRegularFile extends SiloError {
  readonly code = "not-regular-file";
  constructor(readonly objectName: string) {
    super(`Cannot add '${objectName}' as a flat file: it is not a regular file`);
  }
}

/** Copies what is at `source` into the store. @throws UnsupportedFile, NotRegularFile, SystemError, BadStorePath */
export function addPath(store: LocalStore, source: string, options: AddOptions, filter?: PathFilter): StorePath {
  return addTree(store, options, (visitor) => walkTree(source, visitor, filter));
}

/** Adds the tree whose NAR the reader gives next. @throws BadNar and what the reader throws */
export function addNar(store: LocalStore, reader: SyncReader, options: AddOptions): StorePath {
  return addTree(store, options, (visitor) => runSync(readNar(visitor), reader));
}

/** Adds a regular file of these contents. @throws BadStorePath */
export function addText(
  store: LocalStore,
  name: string,
  contents: Uint8Array,
  references: readonly StorePath[],
  mode: PlaceMode = "normal",
): StorePath {
  const method: ContentAddressMethod = { kind: "text", hashAlgo: "sha256" };
  return addTree(store, { name, method, references, mode }, (visitor) => visitFile(visitor, contents));
}

/** Shows a visitor one file. */
export function visitFile(visitor: NarVisitor, contents: Uint8Array): void {
  visitor.file("" as ByteString, "regular", contents.length);
  if (contents.length > 0) visitor.contents(contents);
  visitor.endFile();
}

/** Adds the tree that `produce` shows. */
export function addTree(store: LocalStore, options: AddOptions, produce: (visitor: NarVisitor) => void): StorePath {
  requireWritable(store);
  checkName(options.name);
  const references = [...(options.references ?? [])].sort();
  const addresser = contentHasher(options.method, options.name);
  const taps = addresser.visitor === undefined ? [] : [addresser.visitor];
  const { tree } = receiveTree(store, produce, ...taps);
  let contentAddress: ContentAddress;
  let path: StorePath;
  try {
    contentAddress = contentAddressOf(options.method, addresser.finish(tree.hash));
    path = makeContentAddressedPath(store.storeDir, options.name, contentAddress, withoutSelf(references));
  } catch (error) {
    tree.discard();
    throw error;
  }
  const info = { path, references, deriver: undefined, ultimate: false, signatures: [], contentAddress };
  placeObject(store, tree, info, options.mode ?? "normal");
  return path;
}

/** The path that adding would give, and the hash that it follows from; nothing is written. */
export function computePathFor(
  storeDir: StoreDir,
  source: string,
  options: Pick<AddOptions, "name" | "method">,
  filter?: PathFilter,
): { readonly path: StorePath; readonly hash: Hash } {
  const hash = hashSource(source, options, filter);
  const contentAddress = contentAddressOf(options.method, hash);
  return { path: makeContentAddressedPath(storeDir, options.name, contentAddress), hash };
}

function hashSource(source: string, { method, name }: Pick<AddOptions, "name" | "method">, filter?: PathFilter): Hash {
  if (method.kind === "fixed" && method.method === "recursive") return hashTree(source, method.hashAlgo, filter).hash;
  const flat = flatHasher(method.hashAlgo, name);
  walkTree(source, flat.visitor, filter);
  return flat.finish();
}

const withoutSelf = (others: readonly StorePath[]): PathReferences => ({ others, self: "no-self" });

interface ContentHasher {
  /** Undefined when the sha256 of the NAR is all it takes. */
  readonly visitor: NarVisitor | undefined;
  finish(narHash: Hash): Hash;
}

function contentHasher(method: ContentAddressMethod, name: string): ContentHasher {
  if (method.kind === "text" || method.method === "flat") return flatHasher(method.hashAlgo, name);
  if (method.hashAlgo === "sha256") return { visitor: undefined, finish: (narHash) => narHash };
  const hasher = narHasher(method.hashAlgo);
  return { visitor: hasher.visitor, finish: () => hasher.finish().hash };
}

/** Hashes the contents of a tree that must be a single regular file. */
function flatHasher(algo: HashAlgo, name: string): { readonly visitor: NarVisitor; finish(): Hash } {
  const hasher = streamHash(algo);
  const visitor = visitorOfContents(name, (chunk) => hasher.update(chunk));
  return {
    visitor: { ...visitor, file: (_name, _kind, size) => hasher.expect(size) },
    finish: () => ({ algo, bytes: hasher.digest() }),
  };
}

/** Hands on the contents of a tree that is one regular file; throws NotRegularFile at any other. @param name for the error */
export function visitorOfContents(name: string, onBytes: (chunk: Uint8Array) => void): NarVisitor {
  const refuse = () => {
    throw new NotRegularFile(name);
  };
  return { directory: refuse, leaveDirectory: refuse, symlink: refuse, file() {}, contents: onBytes, endFile() {} };
}
