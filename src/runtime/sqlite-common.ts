/** What both runtimes' SQLite bindings need: result codes and file names. */
import type { DatabaseLocking, DatabaseMode, SqlFailure } from "./interface.ts";

/** Classifies SQLite's primary result code (the low byte of an extended one); see sqlite.org/rescode.html. */
export function classifySqliteCode(code: number): SqlFailure {
  switch (code & 0xff) {
    case 5: // BUSY
    case 6: // LOCKED
    case 15: // PROTOCOL: lost a race for the WAL
      return "busy";
    case 8:
      return "readonly";
    case 11: // CORRUPT
    case 26: // NOTADB
      return "corrupt";
    case 13:
      return "full";
    case 14:
      return "cannot-open";
    case 19:
      return "constraint";
    default:
      return "other";
  }
}

const openModes: Record<DatabaseMode, string> = {
  immutable: "mode=ro&immutable=1",
  "read-only": "mode=ro",
  "read-write": "mode=rw",
  create: "mode=rwc",
};

/** The database's URI (sqlite.org/uri.html). `path` is a byte string: its bytes are escaped, so that none is re-encoded. */
export function databaseUri(path: string, mode: DatabaseMode, locking: DatabaseLocking): string {
  const escaped = path.replace(/[^A-Za-z0-9/._~-]/g, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
  const vfs = locking === "lock-directory" ? "&vfs=unix-dotfile" : "";
  return `file:${escaped}?${openModes[mode]}${vfs}`;
}
