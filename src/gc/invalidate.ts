/** Taking paths out of the database, many in a transaction that other processes do not wait long for. */
import { DatabaseError, type StoreDatabase } from "../store/database/store-database.ts";

/**
 * How long SQLite itself waits for another writer before it lets us look after our clients: one of them may be what
 * that writer waits for. Milliseconds.
 */
const busyTimeoutMs = 20;

/** Runs `body` with a database whose transactions survive power loss: what they remove is deleted from the disk right after. */
export function withDurableDatabase<T>(db: StoreDatabase, durability: "durable" | "fast", body: () => T): T {
  const number = (pragma: string) => Number(db.statement(`pragma ${pragma}`).row()![0]);
  const timeout = number("busy_timeout");
  const synchronous = number("synchronous");
  const full = 2;
  if (durability === "durable") db.exec(`pragma synchronous = ${full}`);
  db.exec(`pragma busy_timeout = ${busyTimeoutMs}`);
  try {
    return body();
  } finally {
    db.exec(`pragma busy_timeout = ${timeout}`);
    db.exec(`pragma synchronous = ${synchronous}`);
  }
}

/**
 * Makes paths invalid, all or none. The rows of what refers to them must be gone or be among them.
 * @param choose called with the transaction begun, for the ids: nothing intervenes before they are gone
 * @param pause called while another process writes
 * @throws DatabaseError, with the failure `constraint` when another path refers to one of them
 */
export function invalidate(db: StoreDatabase, choose: () => readonly number[], pause: () => void): void {
  begin(db, pause);
  try {
    const list = JSON.stringify(choose());
    // First the references, all at once: so the order among the paths does not matter to the foreign keys.
    db.statement("delete from Refs where referrer in (select value from json_each(?))").run(list);
    db.statement("delete from ValidPaths where id in (select value from json_each(?))").run(list);
    db.exec("commit");
  } catch (error) {
    rollBack(db);
    throw error;
  }
}

function begin(db: StoreDatabase, pause: () => void): void {
  for (;;) {
    try {
      db.exec("begin immediate");
      return;
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.failure !== "busy") throw error;
      pause();
    }
  }
}

function rollBack(db: StoreDatabase): void {
  try {
    db.exec("rollback");
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error; // SQLite has rolled back itself, as it does when the disk is full
  }
}
