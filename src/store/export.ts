/** Exporting paths as the stream of `nix-store --export`. */
import { createHash } from "../node-crypto.ts";
import { SiloError } from "../error.ts";
import { encodeItemInfo, encodeItemSignature, encodeItemStart, encodeStreamEnd } from "../formats/export-stream.ts";
import { type Hash, printBareHash } from "../formats/hash.ts";
import type { StorePath } from "../formats/store-path.ts";
import { type LocalStore, realPath, showPath } from "./local-store.ts";
import { requirePathInfo } from "./queries.ts";
import { dumpTree } from "./tree/nar-hash.ts";
import { streamHash } from "./tree/stream-hash.ts";

/** The contents of a path are not what was registered. */
export class CorruptPath extends SiloError {
  readonly code = "corrupt-path";
  constructor(
    readonly path: string,
    readonly expected: string,
    readonly actual: string,
  ) {
    super(
      `hash of path '${path}' has changed from '${expected}' to '${actual}'! ` +
        "It is damaged; 'nix-store --repair-path' can fetch it again",
    );
  }
}

/** Signs the sha256 of an item, in base16, as formats/rsa-signature.ts does. */
export type ItemSigner = (hexDigest: string) => Uint8Array;

/** Writes exactly these paths, in the given order. @throws InvalidPath, CorruptPath, SystemError */
export function exportPaths(
  store: LocalStore,
  paths: readonly StorePath[],
  onBytes: (chunk: Uint8Array) => void,
  sign?: ItemSigner,
): void {
  for (const path of paths) {
    onBytes(encodeItemStart());
    exportItem(store, path, onBytes, sign);
  }
  onBytes(encodeStreamEnd());
}

/** One item of the stream, without what precedes it: what a daemon sends. @throws InvalidPath, CorruptPath, SystemError */
export function exportItem(
  store: LocalStore,
  path: StorePath,
  onBytes: (chunk: Uint8Array) => void,
  sign?: ItemSigner,
): void {
  // In another user's store nothing can be kept from a collector: what it takes from under us is an error then.
  if (store.access === "read-write") store.tempRoots.add([showPath(store, path)]);
  const info = requirePathInfo(store, path);
  const narHasher = streamHash("sha256");
  narHasher.expect(info.narSize ?? 0);
  const itemHasher = sign === undefined ? undefined : createHash("sha256");
  dumpTree(realPath(store, path), (chunk) => {
    narHasher.update(chunk);
    itemHasher?.update(chunk);
    onBytes(chunk);
  });
  const narHash: Hash = { algo: "sha256", bytes: narHasher.digest() };
  const actual = printBareHash(narHash, "base16");
  const expected = printBareHash(info.narHash, "base16");
  // A hash of zeros: registered by a version of old that did not know it.
  if (actual !== expected && !/^0*$/.test(expected)) throw new CorruptPath(showPath(store, path), expected, actual);
  const item = encodeItemInfo(store.storeDir, info);
  onBytes(item);
  itemHasher?.update(item);
  onBytes(encodeItemSignature(itemHasher === undefined ? undefined : sign!(itemHasher.digest("hex"))));
}
