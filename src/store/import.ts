/**
 * Importing the stream of `nix-store --export`. The path that an item is comes behind its contents: they are received
 * first, and nothing is registered before the whole item has been read and its signature, where one is asked for, verified.
 */
import { createHash } from "../node-crypto.ts";
import { SiloError } from "../error.ts";
import { runSync, type SyncReader } from "../formats/codec.ts";
import { readItem, readItemSignature, readItemStart } from "../formats/export-stream.ts";
import type { StorePath } from "../formats/store-path.ts";
import { tee } from "../formats/tee.ts";
import { type LocalStore, showPath } from "./local-store.ts";
import { requireWritable } from "./open-local-store.ts";
import { placeObject } from "./place-object.ts";
import { queryValidPaths } from "./queries.ts";
import { receiveTree } from "./receive-tree.ts";
import { InvalidPath } from "./path-info.ts";

export class BadSignature extends SiloError {
  readonly code = "bad-signature";
}

/** True when the signature is one of this digest (base16) by a key that we trust. */
export type ItemVerifier = (signature: Uint8Array, hexDigest: string) => boolean;

/**
 * Reads items up to the end of the stream; the paths in their order. Without a verifier signatures are not looked at.
 * @param onPath told of each path before it is put in place
 * @throws BadExport, BadNar, BadSignature, InvalidPath for a reference that is neither valid nor in the stream before
 */
export function importPaths(
  store: LocalStore,
  reader: SyncReader,
  verify?: ItemVerifier,
  onPath: (path: StorePath) => void = () => {},
): StorePath[] {
  requireWritable(store);
  const imported: StorePath[] = [];
  while (runSync(readItemStart(), reader) === "item") imported.push(importItem(store, reader, verify, onPath));
  return imported;
}

function importItem(
  store: LocalStore,
  reader: SyncReader,
  verify: ItemVerifier | undefined,
  onPath: (path: StorePath) => void,
): StorePath {
  const itemHasher = verify === undefined ? undefined : createHash("sha256");
  const { tree, result: info } = receiveTree(store, (visitor) => {
    const item = readItem(store.storeDir, visitor);
    return runSync(itemHasher === undefined ? item : tee(item, (chunk) => void itemHasher.update(chunk)), reader);
  });
  try {
    const signature = runSync(readItemSignature(), reader);
    const path = showPath(store, info.path);
    if (verify !== undefined) {
      if (signature === undefined) throw new BadSignature(`imported archive of '${path}' lacks a signature`);
      if (!verify(Buffer.from(signature, "latin1"), itemHasher!.digest("hex"))) {
        throw new BadSignature(
          `signed hash doesn't match actual contents of imported archive of '${path}'; ` +
            "archive could be corrupt, or someone is trying to import a Trojan horse",
        );
      }
    }
    onPath(info.path);
    requireReferences(store, info.path, info.references);
    placeObject(
      store,
      tree,
      {
        path: info.path,
        references: info.references,
        deriver: info.deriver,
        ultimate: false,
        signatures: [],
        contentAddress: undefined,
      },
      "normal",
    );
  } finally {
    tree.discard();
  }
  return info.path;
}

/** Roots the references and makes sure that they are valid, before anything is written. */
function requireReferences(store: LocalStore, path: StorePath, references: readonly StorePath[]): void {
  const others = references.filter((reference) => reference !== path);
  store.tempRoots.add(others.map((reference) => showPath(store, reference)));
  const valid = queryValidPaths(store, others);
  for (const reference of others) if (!valid.has(reference)) throw new InvalidPath(showPath(store, reference));
}
