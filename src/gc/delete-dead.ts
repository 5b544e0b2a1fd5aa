/** Deleting garbage: invalid leftovers first, then dead paths in batches, each invalidated and then moved to the trash. */
import { DatabaseError } from "../store/database/store-database.ts";
import type { LocalStore } from "../store/local-store.ts";
import { tryParseStorePath } from "../formats/store-path.ts";
import { statFileSystem } from "../sys/mount.ts";
import type { Sweep } from "../sys/sweep-tree.ts";
import { type Collection, fullPath } from "./collection.ts";
import { deletionOrder } from "./graph/deletion-order.ts";
import { invalidate, withDurableDatabase } from "./invalidate.ts";
import type { PathLog } from "./path-log.ts";
import { isInUse, readStoreEntries } from "./store-entries.ts";
import { adoptTrash, isLockFile, isAbandonedTrash, moveToTrash, removeLockFile, type Trash } from "./trash/trash.ts";

export interface Deletion {
  readonly trash: Trash;
  readonly sweep: Sweep;
  /** In the order in which they went. */
  readonly deleted: PathLog;
  /** Bytes of their NARs, where they were asked for. */
  estimated: number;
}

/** Why the deletion ended. `no-room`: the disk is too full for the database to change. */
export type DeletionEnd = "nothing-left" | "limit" | "no-room";

/** Moves all leftovers to the trash, those in use excepted. */
export function deleteLeftovers(collection: Collection, { trash, sweep, deleted }: Deletion): void {
  const { store, graph } = collection;
  const { leftovers } = readStoreEntries(store.realStoreDir, graph.names, graph.count, collection.pause);
  leftovers.forEach((name, i) => {
    if ((i & 63) === 0) collection.pause();
    const shown = `${store.storeDir}/${name}`;
    const inUse = isInUse(trash.storeFd, name, collection.isTempRoot);
    if (isAbandonedTrash(name, inUse)) {
      const entries = adoptTrash(trash, name, shown, sweep);
      store.reporter.message("info", `going on with the trash of an interrupted collection: ${entries} entries`);
      return;
    }
    if (inUse) return;
    store.reporter.message("info", `deleting '${shown}'`);
    const gone = isLockFile(trash, name)
      ? removeLockFile(trash, name, shown, sweep)
      : moveToTrash(trash, name, shown, sweep);
    if (gone) deleted.add(name);
  });
}

/** Paths in one transaction, and how long that should take at most: others wait for it. */
const firstBatch = 256;
const maxBatch = 8192;
const targetMs = 80;

/**
 * Deletes what is dead, until `limit` bytes are garbage by the sizes of the paths' NARs.
 * @throws DatabaseError
 */
export function deleteDead(collection: Collection, deletion: Deletion, limit: number | undefined): DeletionEnd {
  const { graph, marking } = collection;
  const order = deletionOrder(graph, marking.live);
  collection.pause();
  let position = 0;
  let bytes = 0;
  let batchSize = firstBatch;
  const stuck: number[] = [];
  return withDurableDatabase(collection.store.db, durabilityOf(collection.store), () => {
    while (position < order.length && (limit === undefined || bytes <= limit)) {
      collection.pause();
      const batch: number[] = [];
      let end = position;
      let batchBytes = 0;
      for (; end < order.length && batch.length < batchSize; end++) {
        const path = order[end]!;
        if (marking.live[path] === 1) continue; // a root has arrived meanwhile
        if (limit !== undefined && bytes + batchBytes > limit) break;
        batch.push(path);
        batchBytes += graph.narSizes?.[path] ?? 0;
      }
      const startMs = performance.now();
      const outcome = deletePaths(collection, deletion, batch, stuck);
      if (outcome === "no-room") {
        if (batchSize === 1) return "no-room";
        batchSize = Math.max(1, batchSize >> 2);
        continue;
      }
      const tookMs = performance.now() - startMs;
      if (tookMs < targetMs / 2) batchSize = Math.min(maxBatch, batchSize * 2);
      else if (tookMs > targetMs) batchSize = Math.max(16, batchSize >> 1);
      position = end;
      bytes += batchBytes;
      deletion.estimated = bytes;
    }
    // Cycles of references may have been cut by the batches: together they can go.
    if (stuck.length > 0) deleteStuck(collection, deletion, stuck);
    return position < order.length ? "limit" : "nothing-left";
  });
}

/**
 * Makes the paths invalid and moves them to the trash, except those that a root has come for.
 * @param stuck gets those that others refer to @throws DatabaseError
 */
export function deletePaths(
  collection: Collection,
  deletion: Deletion,
  paths: readonly number[],
  stuck: number[],
): "done" | "no-room" {
  const { store, graph, marking } = collection;
  let chosen: readonly number[] = [];
  try {
    invalidate(
      store.db,
      () => {
        chosen = paths.filter((path) => marking.live[path] === 0 && collection.gone[path] === 0);
        return chosen.map((path) => graph.ids[path]!);
      },
      collection.pause,
    );
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    if (isForLackOfRoom(store, error)) return "no-room";
    if (error.failure !== "constraint") throw error;
    if (chosen.length === 1) {
      stuck.push(chosen[0]!);
      return "done";
    }
    for (const path of chosen) if (deletePaths(collection, deletion, [path], stuck) === "no-room") return "no-room";
    return "done";
  }
  for (const path of chosen) {
    const name = graph.names.name(path);
    const shown = `${store.storeDir}/${name}`;
    store.reporter.message("info", `deleting '${shown}'`);
    collection.gone[path] = 1;
    deletion.deleted.add(name);
    moveToTrash(deletion.trash, name, shown, deletion.sweep);
    const parsed = tryParseStorePath(name);
    if (parsed !== undefined) store.modulo.memo.delete(parsed); // if it is a derivation, its file is gone
  }
  return "done";
}

/** The log of a database cannot always say that the disk is full. */
function isForLackOfRoom(store: LocalStore, { failure }: DatabaseError): boolean {
  return failure === "full" || (failure === "other" && statFileSystem(store.stateDir).available < fullBelow);
}

/** Bytes. */
const fullBelow = 4 * 1024 * 1024;

function deleteStuck(collection: Collection, deletion: Deletion, stuck: readonly number[]): void {
  const again: number[] = [];
  deletePaths(collection, deletion, stuck, again);
  for (const path of again) {
    const shown = fullPath(collection, path);
    collection.store.reporter.message("warning", `warning: cannot delete path '${shown}': a path refers to it`);
  }
}

export function durabilityOf({ settings }: LocalStore): "durable" | "fast" {
  return settings.get("fsync-metadata") ? "durable" : "fast";
}
