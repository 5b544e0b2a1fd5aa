/**
 * Opening the store on this machine: directories made, a read-only mount lifted, the schema checked and upgraded.
 *
 * Every process holds the big lock shared while it has the store open; an upgrade needs it exclusively.
 */
import { SiloError } from "../error.ts";
import { createModuloContext } from "../formats/derivation/hash-modulo.ts";
import { printStorePath, type StorePath } from "../formats/store-path.ts";
import type { DatabaseMode } from "../runtime/interface.ts";
import { close } from "../sys/descriptor.ts";
import { openLockFile, tryLock, waitLock } from "../sys/file-lock.ts";
import { mayAccess } from "../sys/names.ts";
import { pause } from "../sys/pause.ts";
import { tryLstat } from "../sys/stat.ts";
import { isSystemError } from "../sys/system-error.ts";
import { schemaSql, schemaVersion } from "./database/schema.ts";
import { checkSchemaVersion, readSchemaVersion, writeSchemaVersion } from "./database/schema-version.ts";
import {
  type DatabaseDurability,
  DatabaseError,
  openStoreDatabase,
  type StoreDatabase,
} from "./database/store-database.ts";
import { upgradeSchema } from "./database/upgrade.ts";
import type { LocalStore, LocalStoreConfig } from "./local-store.ts";
import { prepareDirectories, refuseSymlinkedStore } from "./prepare-directories.ts";
import { readDerivation } from "./read-derivation.ts";
import { tempRoots } from "./temp-roots.ts";

export class StoreNotWritable extends SiloError {
  readonly code = "store-not-writable";
}

/** @throws UnsupportedSchema, DatabaseError, StoreNotWritable, SystemError */
export function openLocalStore(config: LocalStoreConfig): LocalStore {
  if (config.access === "read-only") return assemble(config, openReadOnly(config), undefined, "read-only");
  let bigLock: number;
  try {
    prepareDirectories(config);
    if (!config.settings.get("allow-symlinked-store")) refuseSymlinkedStore(config.realStoreDir);
    bigLock = openLockFile(`${config.dbDir}/big-lock`);
  } catch (error) {
    if (!isSystemError(error, "EACCES", "EROFS")) throw error;
    // Another user's store: its queries work, and whatever wants to change it says that it cannot.
    return assemble(config, openReadOnly(config), undefined, "read-only");
  }
  try {
    takeBigLock(config, bigLock);
    upgradeIfNeeded(config, bigLock);
    return assemble(config, openReadWrite(config), bigLock, "read-write");
  } catch (error) {
    close(bigLock);
    throw error;
  }
}

/** A store in memory that says of one path that it is valid. Nothing can be added, and nothing on disk is touched. */
export function openStoreInMemory(config: LocalStoreConfig, path: StorePath): LocalStore {
  const db = openStoreDatabase(":memory:", "create", durabilityOf(config));
  db.exec(schemaSql);
  db.statement("insert into ValidPaths (path, hash, registrationTime, narSize) values (?, ?, ?, ?)").run(
    printStorePath(config.storeDir, path),
    `sha256:${"0".repeat(64)}`,
    1,
    1,
  );
  return assemble(config, db, undefined, "read-only");
}

/** @throws StoreNotWritable in a store opened read-only */
export function requireWritable(store: LocalStore): void {
  if (store.access === "read-only") throw notWritable(store);
}

function notWritable({ storeDir, stateDir }: Pick<LocalStore, "storeDir" | "stateDir">): StoreNotWritable {
  return new StoreNotWritable(
    `Cannot change the store '${storeDir}': no permission to write '${stateDir}'; ` +
      "run as its owner, have the owner run 'silo daemon', or choose a store of your own with NIX_REMOTE=DIRECTORY",
  );
}

function takeBigLock({ reporter }: LocalStoreConfig, fd: number): void {
  if (tryLock(fd, "shared")) return;
  reporter.message("error", "waiting for the big Nix store lock...");
  waitLock(fd, "shared");
}

/** Milliseconds between looks at what the holder of the big lock has done. */
const upgradePollMs = 50;

function upgradeIfNeeded(config: LocalStoreConfig, bigLock: number): void {
  const { reporter } = config;
  // Whoever made or upgraded the store before us keeps the lock shared for as long as it lives: waiting for an exclusive
  // one would be waiting for its end. So look again whether there still is something to do.
  for (let round = 0; ; round++) {
    const version = readSchemaVersion(config.dbDir);
    if (version === schemaVersion) return takeBigLock(config, bigLock);
    if (version !== undefined) checkSchemaVersion(version);
    if (tryLock(bigLock, "exclusive")) break;
    if (round === 1) reporter.message("error", "waiting for exclusive access to the Nix store...");
    pause(upgradePollMs);
  }
  const current = readSchemaVersion(config.dbDir);
  if (current === undefined) createDatabase(config);
  else if (current !== schemaVersion) {
    checkSchemaVersion(current);
    upgradeSchema(current, {
      ...config,
      onMessage: (text) => reporter.message("error", text),
      openDatabase: () => openReadWrite(config, "create"),
    });
  }
  waitLock(bigLock, "shared");
}

/** A crash before the schema's number is written leaves tables that the next run finds and keeps. */
function createDatabase(config: LocalStoreConfig): void {
  const db = openReadWrite(config, "create");
  try {
    db.transaction(() => db.exec(schemaSql));
  } finally {
    db.close();
  }
  writeSchemaVersion(config.dbDir, schemaVersion);
}

function openReadWrite(config: LocalStoreConfig, mode: "read-write" | "create" = "read-write"): StoreDatabase {
  if (!mayAccess(config.dbDir, 0o6)) {
    throw new StoreNotWritable(`Nix database directory '${config.dbDir}' is not writable: no permission`);
  }
  return openStoreDatabase(`${config.dbDir}/db.sqlite`, mode, durabilityOf(config));
}

function durabilityOf({ settings }: LocalStoreConfig): DatabaseDurability {
  return {
    journal: settings.get("use-sqlite-wal") ? "wal" : "truncate",
    synchronous: settings.get("fsync-metadata") ? "normal" : "off",
  };
}

function openReadOnly(config: LocalStoreConfig): StoreDatabase {
  const version = readSchemaVersion(config.dbDir);
  if (version !== undefined) checkSchemaVersion(version);
  const path = `${config.dbDir}/db.sqlite`;
  const open = (mode: DatabaseMode) => {
    const db = openStoreDatabase(path, mode, durabilityOf(config));
    db.statement("select 1 from ValidPaths limit 1").row(); // SQLite opens for real with the first use
    return db;
  };
  try {
    return open("read-only");
  } catch (error) {
    // A WAL database needs its side files. Without a WAL in use nobody writes, and it can be read as it lies there.
    if (!(error instanceof DatabaseError) || (tryLstat(`${path}-wal`)?.size ?? 0) > 0) throw error;
    return open("immutable");
  }
}

function assemble(
  config: LocalStoreConfig,
  db: StoreDatabase,
  bigLock: number | undefined,
  access: LocalStore["access"],
): LocalStore {
  const { storeDir, realStoreDir, stateDir, logDir, confDir, settings, reporter } = config;
  const roots = tempRoots(stateDir);
  let isOpen = true;
  const store: LocalStore = {
    storeDir,
    realStoreDir,
    stateDir,
    logDir,
    confDir,
    settings,
    reporter,
    access,
    db,
    tempRoots: {
      ...roots,
      add(paths) {
        try {
          roots.add(paths);
        } catch (error) {
          if (access === "read-write" || !isSystemError(error, "EACCES", "EROFS")) throw error;
          throw notWritable(store);
        }
      },
    },
    modulo: createModuloContext(storeDir, (drvPath) => readDerivation(storeDir, realStoreDir, drvPath)),
    makeRoom: (urgency) => config.makeRoom?.(store, urgency),
    close() {
      if (!isOpen) return;
      isOpen = false;
      roots.close();
      db.close();
      if (bigLock !== undefined) close(bigLock);
    },
  };
  return store;
}
