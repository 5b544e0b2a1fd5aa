/** What both runtimes' SQLite bindings need: result codes and file names. */
import type { DatabaseMode, SqlFailure } from "./interface.ts";

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

/** The name to open: a plain path, or a URI where only that can say what we mean. */
export function databaseName(path: string, mode: DatabaseMode): string {
  return mode === "immutable" ? `file:${encodeURI(path).replace(/[?#]/g, encodeURIComponent)}?immutable=1` : path;
}
