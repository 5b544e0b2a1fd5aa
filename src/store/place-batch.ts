/**
 * Putting many objects in their places and making them valid together: one transaction for all costs as much as for one. Until then each is locked, so
 * nobody makes the same path meanwhile; a crash leaves invalid paths, as with one.
 */
import type { StorePath } from "../formats/store-path.ts";
import { type LocalStore, realPath, showPath } from "./local-store.ts";
import { requireWritable } from "./open-local-store.ts";
import { optimiseTree } from "./optimise.ts";
import { lockPaths, type PathLocks, tryLockPaths } from "./path-locks.ts";
import type { PathInfo } from "./path-info.ts";
import { isLockedForUs, moveToInvalid, type ObjectInfo, removeInvalid } from "./place-object.ts";
import { isValidPath } from "./queries.ts";
import type { ReceivedTree } from "./receive-tree.ts";
import { registerValidPaths } from "./register.ts";

export interface PlaceBatch {
  /** Takes the tree. The path becomes valid with the next {@link flush} at the latest; one that is valid is left alone. */
  place(tree: ReceivedTree, info: ObjectInfo): void;
  /** Makes what was placed valid. @throws InvalidPath for a reference that is neither valid nor in the batch; nothing is valid then */
  flush(): void;
  /** Gives up what was placed since the last flush, and takes it away again: in the end, whatever happens. */
  abandon(): void;
}

/** Objects, and bytes of them, after which a batch becomes valid by itself: what a crash can cost. */
const maxObjects = 500;
const maxBytes = 64 * 1024 * 1024;

export function openPlaceBatch(store: LocalStore): PlaceBatch {
  let infos = new Map<StorePath, PathInfo>();
  let locks: PathLocks[] = [];
  let bytes = 0;

  function flush(): void {
    if (infos.size === 0) return;
    try {
      registerValidPaths(store, [...infos.values()]);
    } catch (error) {
      abandon();
      throw error;
    }
    release("delete");
  }

  function release(files: "delete" | "keep"): void {
    for (const each of locks) each.release(files);
    infos = new Map();
    locks = [];
    bytes = 0;
  }

  function abandon(): void {
    try {
      for (const path of infos.keys()) removeInvalid(store, path);
    } finally {
      release("keep");
    }
  }

  function lock(path: StorePath): PathLocks {
    const real = realPath(store, path);
    const taken = tryLockPaths([real]);
    if (taken !== undefined) return taken;
    // Waiting with locks in hand could be waiting for somebody who waits for us.
    flush();
    return lockPaths([real], () =>
      store.reporter.message("error", `waiting for lock on '${showPath(store, path)}'...`),
    );
  }

  return {
    place(tree, info) {
      try {
        requireWritable(store);
        store.tempRoots.add([showPath(store, info.path)]);
        if (infos.has(info.path)) return;
        const taken = isLockedForUs(store, info.path) ? undefined : lock(info.path);
        if (isValidPath(store, info.path)) return taken?.release("delete");
        if (taken !== undefined) locks.push(taken);
        moveToInvalid(store, tree, info.path);
        if (store.settings.get("auto-optimise-store")) optimiseTree(store, info.path);
        const registrationTimeSec = Math.floor(Date.now() / 1000);
        infos.set(info.path, { ...info, narHash: tree.hash, narSize: tree.size, registrationTimeSec });
        bytes += tree.size;
        if (infos.size >= maxObjects || bytes >= maxBytes) flush();
      } finally {
        tree.discard();
      }
    },
    flush,
    abandon,
  };
}
