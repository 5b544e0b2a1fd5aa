/**
 * Permanent roots of the collector: symbolic links from anywhere to store paths, each found again through a link in
 * `gcroots/auto` that is named by the hash of its path. See store-layout, "Roots".
 */
import { randomBytes } from "../node-crypto.ts";
import { SiloError } from "../error.ts";
import { encodeBase32 } from "../formats/base32.ts";
import { hashBytes } from "../formats/hash.ts";
import { isInStore, type StoreDir, type StorePath } from "../formats/store-path.ts";
import { kindOf, mkdirs, readlink, rename, symlink } from "../sys/names.ts";
import { syncWithCollector } from "./gc-lock.ts";
import { type LocalStore, showPath } from "./local-store.ts";

export class CannotCreateRoot extends SiloError {
  readonly code = "cannot-create-root";
}

/**
 * Has the collector follow the link `root`, an absolute path, wherever that is. It forgets the root by itself when the
 * link is gone.
 */
export function addIndirectRoot(stateDir: string, root: string): void {
  const auto = `${stateDir}/gcroots/auto`;
  mkdirs(auto);
  replaceSymlink(root, `${auto}/${encodeBase32(hashBytes("sha1", root).bytes)}`);
}

/**
 * Makes the link `root` to a path and registers it. On return the path is safe from any collection.
 * @throws CannotCreateRoot for a link inside the store, or over something that is not such a link already
 */
export function addPermanentRoot(store: LocalStore, path: StorePath, root: string): void {
  checkRootPlace(store.storeDir, root);
  store.tempRoots.add([showPath(store, path)]);
  makeRootLink(store.storeDir, showPath(store, path), root);
  addIndirectRoot(store.stateDir, root);
  syncWithCollector(store.stateDir, () =>
    store.reporter.message("error", "waiting for the big garbage collector lock..."),
  );
}

/** @throws CannotCreateRoot */
export function checkRootPlace(storeDir: StoreDir, root: string): void {
  if (isInStore(storeDir, root)) {
    throw new CannotCreateRoot(
      `creating a garbage collector root '${root}' in the Nix store is forbidden (are you running nix-build inside the store?)`,
    );
  }
}

/** Makes or replaces the link itself. @throws CannotCreateRoot */
export function makeRootLink(storeDir: StoreDir, target: string, root: string): void {
  const kind = kindOf(root);
  if (kind !== undefined && !(kind === "symlink" && isInStore(storeDir, readlink(root)))) {
    throw new CannotCreateRoot(`cannot create symlink '${root}'; already exists`);
  }
  const directory = root.slice(0, root.lastIndexOf("/"));
  if (directory !== "") mkdirs(directory);
  replaceSymlink(target, root);
}

/** Atomically: whoever looks sees the old link or the new one. */
export function replaceSymlink(target: string, path: string): void {
  const temporary = `${path}.tmp-${process.pid}-${randomBytes(4).toString("hex")}`;
  symlink(target, temporary);
  rename(temporary, path);
}
