/**
 * Upgrading the database of an older store to schema 10. The caller holds the big lock exclusively. Each step is one
 * transaction or can be repeated, and the schema's number is written behind it: after a crash the next run goes on with
 * the step that was not finished.
 */
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt } from "../../sys/descriptor.ts";
import { readDirectoryEntries } from "../../sys/directory.ts";
import { clearImmutableFlag } from "../../sys/file-flags.ts";
import { AT_FDCWD } from "../../sys/syscall.ts";
import { importFlatDatabase } from "./flat-database.ts";
import { schemaSql, schemaVersion } from "./schema.ts";
import { writeSchemaVersion } from "./schema-version.ts";
import type { StoreDatabase } from "./store-database.ts";
import type { StoreDir } from "../../formats/store-path.ts";

export interface UpgradeContext {
  readonly dbDir: string;
  readonly storeDir: StoreDir;
  readonly realStoreDir: string;
  readonly onMessage: (text: string) => void;
  /** Opens the database, making it when it is not there. */
  readonly openDatabase: () => StoreDatabase;
}

/** Brings schema `from` (5 to 9) to 10. */
export function upgradeSchema(from: number, context: UpgradeContext): void {
  const db = context.openDatabase();
  try {
    if (from < 6) {
      context.onMessage("upgrading Nix store to new schema (this may take a while)...");
      importFlatDatabase(db, context);
      writeSchemaVersion(context.dbDir, 6);
    }
    if (from < 7) {
      clearImmutableFlags(context);
      writeSchemaVersion(context.dbDir, 7);
    }
    addColumns(db);
    writeSchemaVersion(context.dbDir, schemaVersion);
  } finally {
    db.close();
  }
}

/** Nix 1.0 to 1.2 made store objects immutable, which nothing later can delete. Root's business only. */
function clearImmutableFlags(context: UpgradeContext): void {
  if (process.getuid?.() !== 0) return;
  context.onMessage("removing immutable bits from the Nix store (this may take a while)...");
  makeMutable(context.realStoreDir, AT_FDCWD);
}

function makeMutable(name: string, dirFd: number): void {
  clearImmutableFlag(name, dirFd);
  const fd = openAt(dirFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    for (const entry of readDirectoryEntries(fd)) {
      if (entry.kind === "directory") makeMutable(entry.name, fd);
      else if (entry.kind === "regular") clearImmutableFlag(entry.name, fd);
    }
  } finally {
    close(fd);
  }
}

/**
 * 7 to 8 added `ultimate` and `sigs`, 9 dropped the failed paths (which silo keeps), 10 added `ca`. Only what is missing
 * is added: Nix may have crashed halfway, and 5 was imported into the newest tables at once.
 */
function addColumns(db: StoreDatabase): void {
  db.transaction(() => {
    const columns = new Set(
      db
        .statement("select name from pragma_table_info('ValidPaths')")
        .rows()
        .map(([name]) => name),
    );
    if (!columns.has("ultimate")) db.exec("alter table ValidPaths add column ultimate integer");
    if (!columns.has("sigs")) db.exec("alter table ValidPaths add column sigs text");
    if (!columns.has("ca")) db.exec("alter table ValidPaths add column ca text");
    db.exec(schemaSql);
  });
}
