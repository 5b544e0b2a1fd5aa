import type { SqlFailure } from "./interface.ts";

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
