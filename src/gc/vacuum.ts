/** Giving back the room that deleted rows leave in the database, where that is worth rewriting it. */
import { statFileSystem } from "../sys/mount.ts";
import { DatabaseError } from "../store/database/store-database.ts";
import type { LocalStore } from "../store/local-store.ts";

/** Of the pages that must be free, and in all so many bytes. */
const minFreeShare = 1 / 3;
const minFreeBytes = 8 * 1024 * 1024;

/** Nobody can write meanwhile, so it is not done for little. Does nothing but tell when it does not work. */
export function vacuumIfWorthwhile(store: LocalStore): void {
  const { db, reporter } = store;
  const number = (pragma: string) => Number(db.statement(`pragma ${pragma}`).row()![0]);
  const free = number("freelist_count");
  const pages = number("page_count");
  const pageSize = number("page_size");
  if (free < pages * minFreeShare || free * pageSize < minFreeBytes) return;
  // The new database goes through the log before it replaces the old one.
  if (statFileSystem(store.stateDir).available < (pages - free) * pageSize * 2) return;
  reporter.message("info", `compacting the database: ${Math.round((free / pages) * 100)} % of it is unused`);
  try {
    db.exec("vacuum");
    db.exec("pragma wal_checkpoint(truncate)");
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    reporter.message("warning", `warning: cannot compact the database: ${error.message}`);
  }
}
