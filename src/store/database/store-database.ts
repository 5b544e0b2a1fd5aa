/**
 * The connection to `db.sqlite`: pragmas as Nix sets them, statements prepared once, and transactions that are taken
 * again when another process is in the way.
 */
import { runtime } from "#runtime";
import { SiloError } from "../../error.ts";
import { O_RDONLY, read, tryOpenAt, withDescriptor } from "../../sys/descriptor.ts";
import { pause } from "../../sys/pause.ts";
import { AT_FDCWD } from "../../sys/syscall.ts";
import type { Database, DatabaseLocking, DatabaseMode, SqlFailure, Statement } from "../../runtime/interface.ts";

export class DatabaseError extends SiloError {
  readonly code = "database";
  constructor(
    readonly path: string,
    readonly failure: SqlFailure,
    cause: unknown,
  ) {
    super(`Cannot use the database '${path}': ${describeFailure(failure, cause)}`, { cause });
  }
}

function describeFailure(failure: SqlFailure, cause: unknown): string {
  const detail = cause instanceof Error ? cause.message : String(cause);
  switch (failure) {
    case "corrupt":
      return `it is damaged (${detail}); restore it from a backup or from 'nix-store --dump-db' output`;
    case "full":
      return `the disk is full (${detail}); collect garbage or free space and try again`;
    case "readonly":
      return `no permission to write (${detail}); run as the store's owner or use the daemon (NIX_REMOTE=daemon)`;
    default:
      return detail;
  }
}

/**
 * How the database is kept on disk; from the settings `use-sqlite-wal` and `fsync-metadata`. Without a WAL Nix 2 locks by a
 * directory beside the database, as it is then thought to be on NFS; so must all who share it.
 */
export interface DatabaseDurability {
  readonly journal: "wal" | "truncate";
  readonly synchronous: "normal" | "off";
}

export interface StoreDatabase {
  readonly path: string;
  /** A statement prepared once for this connection. */
  statement(sql: string): Statement;
  exec(sql: string): void;
  /**
   * Runs `body` in a transaction that takes the write lock at once; commits on return, rolls back on a throw. While
   * another process holds the database, waits and begins again: `body` must not keep what it changed in memory before.
   * Inside another transaction it joins that one.
   */
  transaction<T>(body: () => T): T;
  close(): void;
}

/** Nix waits an hour for a lock before it calls the database busy. */
const busyTimeoutMs = 3_600_000;

/** @throws DatabaseError */
export function openStoreDatabase(path: string, mode: DatabaseMode, durability: DatabaseDurability): StoreDatabase {
  const attempt = <T>(action: () => T): T => {
    try {
      return action();
    } catch (error) {
      const failure = runtime.sqlFailure(error);
      if (failure === undefined) throw error;
      throw new DatabaseError(path, failure, error);
    }
  };
  const db = attempt(() =>
    runtime.openDatabase(
      path,
      mode,
      attempt(() => chooseLocking(path, mode, durability)),
    ),
  );
  try {
    attempt(() => configure(db, mode, durability));
  } catch (error) {
    db.close();
    throw error;
  }

  const statements = new Map<string, Statement>();
  let inTransaction = false;

  function transactOnce<T>(body: () => T): T {
    db.exec("begin immediate");
    inTransaction = true;
    try {
      const result = body();
      db.exec("commit");
      return result;
    } catch (error) {
      rollBack(db);
      throw error;
    } finally {
      inTransaction = false;
    }
  }

  return {
    path,
    statement(sql) {
      let statement = statements.get(sql);
      if (statement === undefined) {
        const prepared = attempt(() => db.prepare(sql));
        statement = {
          run: (...params) => attempt(() => untilNotBusy(() => prepared.run(...params), inTransaction)),
          row: (...params) => attempt(() => untilNotBusy(() => prepared.row(...params), inTransaction)),
          rows: (...params) => attempt(() => untilNotBusy(() => prepared.rows(...params), inTransaction)),
        };
        statements.set(sql, statement);
      }
      return statement;
    },
    exec: (sql) => attempt(() => db.exec(sql)),
    transaction(body) {
      if (inTransaction) return body();
      for (let round = 0; ; round++) {
        try {
          return attempt(() => transactOnce(body));
        } catch (error) {
          if (!(error instanceof DatabaseError) || error.failure !== "busy") throw error;
          backOff(round);
        }
      }
    },
    close: () => db.close(),
  };
}

/** A database left in WAL mode is first brought out of it, which only those can do who lock as for a WAL. */
function chooseLocking(path: string, mode: DatabaseMode, { journal }: DatabaseDurability): DatabaseLocking {
  if (journal === "wal") return "byte-ranges";
  if (!isInWalMode(path)) return "lock-directory";
  if (mode === "read-only" || mode === "immutable") return "byte-ranges";
  const db = runtime.openDatabase(path, mode, "byte-ranges");
  try {
    db.exec(`pragma busy_timeout = ${busyTimeoutMs}`);
    untilNotBusy(() => db.prepare("pragma main.journal_mode = truncate").row(), false);
  } finally {
    db.close();
  }
  return "lock-directory";
}

/** The file's header says so: sqlite.org/fileformat.html, "File format version numbers". */
function isInWalMode(path: string): boolean {
  const fd = tryOpenAt(AT_FDCWD, path, O_RDONLY);
  if (fd < 0) return false; // absent: SQLite will tell whether that is an error
  return withDescriptor(fd, () => {
    const header = new Uint8Array(20);
    return read(fd, header) === header.length && header[19] === 2;
  });
}

/** The database of a large store stays in memory, as far as it was looked at; the 2 MiB of old would be read over and over. */
const cacheKib = 32 * 1024;

function configure(db: Database, mode: DatabaseMode, durability: DatabaseDurability): void {
  db.exec(`pragma busy_timeout = ${busyTimeoutMs}`);
  db.exec(`pragma cache_size = ${-cacheKib}`);
  if (mode === "read-only" || mode === "immutable") return;
  db.exec("pragma foreign_keys = 1");
  db.exec(`pragma synchronous = ${durability.synchronous}`);
  const current = db.prepare("pragma main.journal_mode").row()?.[0];
  if (current !== durability.journal) {
    untilNotBusy(() => db.prepare(`pragma main.journal_mode = ${durability.journal}`).row(), false);
  }
  // Nix's number: enough for a large system's registration to cost a single fsync.
  if (durability.journal === "wal") db.exec("pragma wal_autocheckpoint = 40000");
}

function rollBack(db: Database): void {
  try {
    db.exec("rollback");
  } catch {
    // SQLite has already rolled back (a full disk, an I/O error): the first error is the one to tell.
  }
}

/** Retries a single statement; inside a transaction the whole transaction is what has to be retried. */
function untilNotBusy<T>(action: () => T, inTransaction: boolean): T {
  for (let round = 0; ; round++) {
    try {
      return action();
    } catch (error) {
      if (inTransaction || runtime.sqlFailure(error) !== "busy") throw error;
      backOff(round);
    }
  }
}

/** Rests up to 100 ms, longer with every round, by chance so that rivals do not march in step. */
function backOff(round: number): void {
  if (round === 0) process.stderr.write("warning: SQLite database is busy\n");
  pause(Math.random() * Math.min(100, 5 << Math.min(round, 5)));
}
