/** Collecting garbage: the whole of it, and asking what it would be. */
import type { CollectOptions, CollectResults } from "../store/collect-service.ts";
import type { LocalStore } from "../store/local-store.ts";
import { requireWritable } from "../store/open-local-store.ts";
import { tryUnlink } from "../sys/names.ts";
import { newSweep, type Sweep } from "../sys/sweep-tree.ts";
import { withCollection } from "./collection.ts";
import { withCollectorLock } from "./collector-lock.ts";
import { deleteDead, deleteLeftovers, type Deletion, type DeletionEnd } from "./delete-dead.ts";
import { deleteSpecific } from "./delete-specific.ts";
import { printableSet } from "./live-and-dead.ts";
import { type PathLog, pathLog } from "./path-log.ts";
import { emptyTrash } from "./trash/empty-trash.ts";
import { closeTrash, openTrash } from "./trash/trash.ts";
import { removeUnusedLinks } from "./unused-links.ts";
import { vacuumIfWorthwhile } from "./vacuum.ts";

/**
 * Collects, or says what is live or dead. What cannot be deleted is reported as a warning, and the collection goes on.
 * @throws PathStillAlive, SystemError, RootFinderFailed, DatabaseError; what is in the trash by then is deleted all the same
 */
export function collectGarbage(store: LocalStore, options: CollectOptions): CollectResults {
  requireWritable(store);
  const { action, liveness, paths, maxFreed } = options;
  switch (action) {
    case "return-live":
    case "return-dead": {
      const which = action === "return-live" ? "live" : "dead";
      if (maxFreed === 0) return { paths: [], bytesFreed: 0 };
      const found = withCollection(
        store,
        { liveness: "respect", reasons: "without-parents", narSizes: "skip" },
        (collection) => {
          store.reporter.message("info", "determining live/dead paths...");
          return printableSet(collection, which);
        },
      );
      return { paths: found, bytesFreed: 0 };
    }
    case "delete-specific": {
      if (paths.length === 0) return { paths: [], bytesFreed: 0 };
      const totals = newTotals(store);
      try {
        runRound(store, totals, "when-shared", (deletion) =>
          withCollection(store, { liveness, reasons: "with-parents", narSizes: "skip" }, (collection) =>
            deleteSpecific(collection, deletion, paths, options.referrers),
          ),
        );
      } finally {
        reportFaults(store, totals);
      }
      return results(totals);
    }
    case "delete-dead":
      return deleteAllDead(store, maxFreed);
  }
}

interface Totals {
  readonly sweep: Sweep;
  readonly deleted: PathLog;
  /** Bytes that the deleted paths were thought to have. */
  estimated: number;
}

function newTotals({ reporter, storeDir }: LocalStore): Totals {
  const sweep = newSweep((error) => reporter.message("warning", `warning: ${error.message}`));
  return { deleted: pathLog(`${storeDir}/`), estimated: 0, sweep };
}

function results({ deleted, sweep }: Totals): CollectResults {
  return { paths: deleted, bytesFreed: sweep.bytes };
}

function reportFaults({ reporter }: LocalStore, { sweep: { faults } }: Totals): void {
  if (faults > 0) reporter.message("warning", `warning: ${faults} files could not be deleted, see above`);
}

function deleteAllDead(store: LocalStore, maxFreed: number | undefined): CollectResults {
  const { reporter } = store;
  const totals = newTotals(store);
  if (maxFreed === 0) return results(totals);
  // Mostly one round. Sizes are known for sure only when files are gone, as they may share their contents with others:
  // with a limit it goes on until enough has been freed. On a full disk each round makes room for the next one.
  for (;;) {
    const left = maxFreed === undefined ? undefined : maxFreed - totals.sweep.bytes;
    if (left !== undefined && left < 0) {
      reporter.message("info", `deleted more than ${maxFreed} bytes; stopping`);
      break;
    }
    const yieldSoFar = totals.estimated > 0 ? Math.max(minYield, totals.sweep.bytes / totals.estimated) : 1;
    const countBefore = totals.deleted.length;
    const end = deletionRound(store, totals, left === undefined ? undefined : left / yieldSoFar);
    const progress = totals.deleted.length > countBefore;
    if (end === "nothing-left" || (end === "limit" && !progress)) break;
    if (!progress) {
      reporter.message(
        "error",
        "cannot go on: the disk is too full for the database to change; free some space by hand",
      );
      break;
    }
  }
  reportFaults(store, totals);
  vacuumIfWorthwhile(store);
  return results(totals);
}

function deletionRound(store: LocalStore, totals: Totals, limit: number | undefined): DeletionEnd {
  const narSizes = limit === undefined ? "skip" : "load";
  return runRound(store, totals, "always", (deletion) =>
    withCollection(store, { liveness: "respect", reasons: "without-parents", narSizes }, (collection) => {
      store.reporter.message("info", "deleting garbage...");
      const countBefore = deletion.deleted.length;
      deleteLeftovers(collection, deletion);
      // How much leftovers free shows when they are gone: only then it is clear whether valid paths have to go.
      if (limit !== undefined && deletion.deleted.length > countBefore) return "limit";
      return deleteDead(collection, deletion, limit);
    }),
  );
}

/** The least share of the estimated bytes that a round is thought to have freed. */
const minYield = 0.05;

/**
 * Opens the trash, has `body` fill it, and empties it whatever happens: a failure must not keep the space.
 * @param links whether to look through `.links` also when no file was shared with it
 */
function runRound<T>(
  store: LocalStore,
  totals: Totals,
  links: "always" | "when-shared",
  body: (deletion: Deletion) => T,
): T {
  // The first thing to go: on a full disk this is the room for the database to change in.
  tryUnlink(`${store.db.path.slice(0, store.db.path.lastIndexOf("/"))}/reserved`);
  const trash = openTrash(store);
  const deletion: Deletion = { trash, sweep: totals.sweep, deleted: totals.deleted, estimated: 0 };
  try {
    try {
      return body(deletion);
    } finally {
      totals.estimated += deletion.estimated;
      emptyTrash(store, trash, totals.sweep);
      if (links === "always" || totals.sweep.sharedFiles > 0) cleanLinks(store, deletion);
    }
  } finally {
    closeTrash(trash);
  }
}

/**
 * Nix's collector does not expect links to vanish while it looks at them, so it is kept out; others it does not
 * concern.
 */
function cleanLinks(store: LocalStore, { trash, sweep }: Deletion): void {
  const { reporter } = store;
  reporter.message("info", "deleting unused links...");
  const saved = withCollectorLock(store, "shared", () => removeUnusedLinks(store.realStoreDir, trash, sweep));
  reporter.message("info", `note: currently hard linking saves ${(Math.max(saved, 0) / 2 ** 20).toFixed(2)} MiB`);
}
