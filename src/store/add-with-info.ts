/**
 * Adding a path that comes with its registration, from a client, another machine or a cache: contents are compared with the hashes that it
 * states, and it must be signed, or be addressed by its contents, unless whoever sends it is trusted.
 */
import { createHash } from "../node-crypto.ts";
import { SiloError } from "../error.ts";
import { runSync, type SyncReader } from "../formats/codec.ts";
import { type ContentAddress, printContentAddress } from "../formats/content-address.ts";
import { equalHashes, type Hash, printHash } from "../formats/hash.ts";
import { makeContentAddressedPath, ReferencesNotAllowed } from "../formats/make-store-path.ts";
import { createModuloHasher } from "../formats/modulo-hash.ts";
import { readNar } from "../formats/nar/read-nar.ts";
import type { NarVisitor } from "../formats/nar/visitor.ts";
import { NarWriter } from "../formats/nar/write-nar.ts";
import {
  parsePublicKey,
  parseSecretKey,
  printFingerprint,
  publicKeyOf,
  trustKeys,
  verifyText,
} from "../formats/signature.ts";
import { hashPart, nameOf } from "../formats/store-path.ts";
import { readSmallFile } from "../sys/descriptor.ts";
import { isSystemError } from "../sys/system-error.ts";
import { type LocalStore, showPath } from "./local-store.ts";
import { requireWritable } from "./open-local-store.ts";
import type { PathInfo } from "./path-info.ts";
import { type PlaceMode, placeObject } from "./place-object.ts";
import { isValidPath } from "./queries.ts";
import { openTreeReceiver, type ReceivedTree } from "./receive-tree.ts";

/** Nobody whom we trust vouches for the path. */
export class LacksSignature extends SiloError {
  readonly code = "lacks-signature";
  constructor(readonly path: string) {
    super(`cannot add path '${path}' because it lacks a valid signature`);
  }
}

/** The contents are not what the registration says. */
export class ContentMismatch extends SiloError {
  readonly code = "content-mismatch";
  constructor(
    readonly path: string,
    readonly what: "hash" | "size" | "content address",
    readonly expected: string,
    readonly actual: string,
  ) {
    super(`${what} mismatch importing path '${path}': expected ${expected}, got ${actual}`);
  }
}

export interface AddWithInfoOptions {
  /** `check` asks for a signature by one of `trusted-public-keys`, unless `require-sigs` is off or the path follows from its contents. */
  readonly signatures: "check" | "trust";
  readonly mode: PlaceMode;
}

/**
 * Makes a path valid whose NAR the reader gives next. Of a path that is valid already nothing is read.
 * @throws LacksSignature, ContentMismatch, BadNar, InvalidPath for a reference that is not valid, what the reader throws
 */
export function addWithInfo(
  store: LocalStore,
  info: PathInfo,
  reader: SyncReader,
  { signatures, mode }: AddWithInfoOptions,
): "added" | "already-valid" {
  requireWritable(store);
  if (signatures === "check") requireVouched(store, info);
  store.tempRoots.add([showPath(store, info.path)]);
  if (mode === "normal" && isValidPath(store, info.path)) return "already-valid";
  const receiver = openInfoReceiver(store, info, (tree) => placeObject(store, tree, info, mode));
  try {
    runSync(readNar(receiver.visitor), reader);
    receiver.finish();
  } finally {
    receiver.abandon();
  }
  return "added";
}

/** Receiving the contents of a path with its registration bit by bit, as from a network. */
export interface InfoReceiver {
  readonly visitor: NarVisitor;
  /** When the tree is complete: compares and makes the path valid. @throws ContentMismatch, InvalidPath */
  finish(): void;
  /** Leaves nothing behind; does nothing after `finish`. */
  abandon(): void;
}

/**
 * `abandon` must be called in the end, whatever happens. Signatures are the caller's affair: {@link requireVouched}.
 * @param place puts the tree in its place when it is what the info says
 */
export function openInfoReceiver(
  store: LocalStore,
  info: PathInfo,
  place: (tree: ReceivedTree, info: PathInfo) => void,
): InfoReceiver {
  requireWritable(store);
  store.tempRoots.add([showPath(store, info.path)]);
  const { contentAddress } = info;
  // Without a reference to itself a tree's address is the hash of its NAR, which is computed anyway.
  const isNarHash = contentAddress !== undefined && isAddressedByNar(info, contentAddress);
  const addresser = contentAddress === undefined || isNarHash ? undefined : contentHasher(info, contentAddress);
  const receiver = openTreeReceiver(store, ...(addresser === undefined ? [] : [addresser.visitor]));
  let state: "open" | "over" = "open";
  return {
    visitor: receiver.visitor,
    finish() {
      const tree = receiver.finish();
      state = "over";
      try {
        compare(store, info, tree, isNarHash ? tree.hash : addresser?.finish());
        place(tree, info);
      } finally {
        tree.discard();
      }
    },
    abandon() {
      if (state === "open") receiver.abandon();
      state = "over";
    },
  };
}

/** @throws LacksSignature */
export function requireVouched(store: LocalStore, info: PathInfo): void {
  if (!store.settings.get("require-sigs") || followsFromContents(store, info)) return;
  if (info.narSize !== undefined) {
    const keys = trustedKeys(store);
    const fingerprint = printFingerprint(store.storeDir, { ...info, narSize: info.narSize });
    if (verifyText(fingerprint, info.signatures, keys) !== undefined) return;
  }
  throw new LacksSignature(showPath(store, info.path));
}

/** Those of the settings, and those that this machine signs with, where they can be read. */
function trustedKeys({ settings }: LocalStore): ReturnType<typeof trustKeys> {
  const own = settings.get("secret-key-files").flatMap((file) => {
    try {
      return publicKeyOf(parseSecretKey(readSmallFile(file, maxKeyFile).toString("latin1")));
    } catch (error) {
      if (isSystemError(error, "ENOENT", "EACCES")) return []; // of others
      throw error;
    }
  });
  return trustKeys([...settings.get("trusted-public-keys").map(parsePublicKey), ...own]);
}

/** Bytes; a key has 100. */
const maxKeyFile = 64 * 1024;

/** Is the path the one that its content address and references give? Whether the contents have that address is another matter. */
function followsFromContents(store: LocalStore, { path, contentAddress, references }: PathInfo): boolean {
  if (contentAddress === undefined) return false;
  const others = references.filter((reference) => reference !== path);
  const self = others.length < references.length ? "self" : "no-self";
  try {
    return makeContentAddressedPath(store.storeDir, nameOf(path), contentAddress, { others, self }) === path;
  } catch (error) {
    if (error instanceof ReferencesNotAllowed) return false;
    throw error;
  }
}

function compare(store: LocalStore, info: PathInfo, tree: ReceivedTree, contentHash: Hash | undefined): void {
  const path = showPath(store, info.path);
  if (!equalHashes(tree.hash, info.narHash))
    throw new ContentMismatch(path, "hash", printHash(info.narHash, "base32"), printHash(tree.hash, "base32"));
  if (info.narSize !== undefined && info.narSize !== tree.size)
    throw new ContentMismatch(path, "size", String(info.narSize), String(tree.size));
  const stated = info.contentAddress;
  if (stated === undefined || contentHash === undefined || equalHashes(contentHash, stated.hash)) return;
  const actual = printContentAddress({ ...stated, hash: contentHash });
  throw new ContentMismatch(path, "content address", printContentAddress(stated), actual);
}

function isAddressedByNar({ path, references }: PathInfo, address: ContentAddress): boolean {
  const isNar = address.kind === "fixed" && address.method === "recursive" && address.hash.algo === "sha256";
  return isNar && !references.includes(path);
}

interface ContentHasher {
  readonly visitor: NarVisitor;
  finish(): Hash;
}

/** Hashes what the address is of: a file, or a NAR with the path's own hash part read as nothing. */
function contentHasher(info: PathInfo, address: ContentAddress): ContentHasher {
  const { algo } = address.hash;
  if (address.kind === "fixed" && address.method === "recursive") {
    const hasher = createModuloHasher(hashPart(info.path), algo);
    const writer = new NarWriter((chunk) => hasher.feed(chunk));
    return {
      visitor: writer,
      finish() {
        writer.finish();
        return hasher.finish().hash;
      },
    };
  }
  const hasher = createHash(algo);
  const refuse = () => {
    throw new ContentMismatch(nameOf(info.path), "content address", "a regular file", "something else");
  };
  return {
    visitor: {
      directory: refuse,
      leaveDirectory: refuse,
      symlink: refuse,
      file() {},
      contents: (chunk) => void hasher.update(chunk),
      endFile() {},
    },
    finish: () => ({ algo, bytes: new Uint8Array(hasher.digest()) }),
  };
}
