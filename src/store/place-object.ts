/**
 * Putting a received tree in its place and making it valid.
 *
 * Order: temporary root, lock, look again whether it is valid, delete what a crash left there, move, link, register,
 * unlock. A crash in between leaves an invalid path, which the next attempt or the collector deletes.
 */
import type { StorePath } from "../formats/store-path.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { exists, rename, tryExchange } from "../sys/names.ts";
import { type LocalStore, realPath, showPath } from "./local-store.ts";
import { requireWritable } from "./open-local-store.ts";
import { optimiseTree } from "./optimise.ts";
import type { PathInfo } from "./path-info.ts";
import { lockPaths } from "./path-locks.ts";
import { isValidPath } from "./queries.ts";
import type { ReceivedTree } from "./receive-tree.ts";
import { registerValidPaths } from "./register.ts";
import { scratchPath } from "./scratch-path.ts";

/** `repair` replaces the files of a path that is valid but damaged. */
export type PlaceMode = "normal" | "repair";

/** What is known of a new object besides its tree. */
export type ObjectInfo = Omit<PathInfo, "narHash" | "narSize" | "registrationTimeSec">;

/** Returns when the path is valid, whoever made it so. Takes the tree: it is gone afterwards, used or not. */
export function placeObject(store: LocalStore, tree: ReceivedTree, info: ObjectInfo, mode: PlaceMode): void {
  try {
    requireWritable(store);
    const fullPath = showPath(store, info.path);
    store.tempRoots.add([fullPath]);
    if (mode === "normal" && isValidPath(store, info.path)) return;
    withObjectLock(store, info.path, () => {
      if (mode === "normal" && isValidPath(store, info.path)) return;
      placeLockedObject(store, tree, info);
    });
  } finally {
    tree.discard();
  }
}

/** As {@link placeObject}, for a path that the caller has rooted, locked and found not to be valid, or means to repair. */
export function placeLockedObject(store: LocalStore, tree: ReceivedTree, info: ObjectInfo): void {
  requireWritable(store);
  moveIntoPlace(store, tree, info.path);
  if (store.settings.get("auto-optimise-store")) optimiseTree(store, info.path);
  try {
    registerValidPaths(store, [
      { ...info, narHash: tree.hash, narSize: tree.size, registrationTimeSec: Math.floor(Date.now() / 1000) },
    ]);
  } catch (error) {
    removeInvalid(store, info.path);
    throw error;
  }
}

/** Does the process that started us hold the path's lock for us? */
export function isLockedForUs(store: LocalStore, path: StorePath): boolean {
  const held = process.env["NIX_HELD_LOCKS"]?.split(/\s+/) ?? [];
  return held.includes(showPath(store, path));
}

/** Runs `body` with the path locked, unless the process that started us holds the lock for us (NIX_HELD_LOCKS). */
function withObjectLock(store: LocalStore, path: StorePath, body: () => void): void {
  if (isLockedForUs(store, path)) return body();
  const locks = lockPaths([realPath(store, path)], () => {
    store.reporter.message("error", `waiting for lock on '${showPath(store, path)}'...`);
  });
  let files: "delete" | "keep" = "keep";
  try {
    body();
    files = "delete";
  } finally {
    locks.release(files);
  }
}

/** For a path that is not valid and that the caller has locked. Registering is the caller's. */
export function moveToInvalid(store: LocalStore, tree: ReceivedTree, path: StorePath): void {
  const destination = realPath(store, path);
  deleteTree(destination);
  tree.moveTo(destination);
}

/** Takes away again what {@link moveToInvalid} has put there and could not be registered. The caller has the lock. */
export function removeInvalid(store: LocalStore, path: StorePath): void {
  if (!isValidPath(store, path)) deleteTree(realPath(store, path));
}

function moveIntoPlace(store: LocalStore, tree: ReceivedTree, path: StorePath): void {
  if (!isValidPath(store, path)) return moveToInvalid(store, tree, path);
  const destination = realPath(store, path);
  // Repair: at no moment may the valid path be missing, if the file system can swap.
  const replacement = realPath(store, scratchPath(store, "repair"));
  tree.moveTo(replacement);
  if (!exists(destination)) rename(replacement, destination);
  else if (tryExchange(replacement, destination) < 0) {
    const old = realPath(store, scratchPath(store, "old"));
    rename(destination, old);
    rename(replacement, destination);
    deleteTree(old);
  } else deleteTree(replacement);
}
