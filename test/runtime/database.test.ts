/** What SQLite is given and gives, on whichever runtime this is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runtime } from "#runtime";

test("whole numbers stay whole where SQLite computes with them", () => {
  const db = runtime.openDatabase(":memory:", "create");
  try {
    const statement = db.prepare("select typeof(?1), cast(json_group_array(?1 * ?2 + 1) as text), ?3");
    assert.deepEqual(statement.row(3, 2 ** 32, 0.5), ["integer", `[${3 * 2 ** 32 + 1}]`, 0.5]);
  } finally {
    db.close();
  }
});
