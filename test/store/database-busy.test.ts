/** A database that another process holds: readers go on, writers wait, and nothing is done twice. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { addText } from "../../src/store/add.ts";
import { DatabaseError } from "../../src/store/database/store-database.ts";
import { queryAllValidPaths } from "../../src/store/queries.ts";
import { registerValidPaths } from "../../src/store/register.ts";
import { fakeInfo, fakePath } from "../support/fake-paths.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";
import { skipWithout, skipWithoutNix } from "../support/stock-nix.ts";

const exitOf = (child: ChildProcess) => new Promise((exited) => child.on("exit", exited));
const isHeld = (child: ChildProcess) => new Promise((held) => child.stdout!.once("data", held));

describe("while another process is in a transaction", () => {
  test("queries answer, and a second writer waits until it is over", async () => {
    await withStoreFixture(async (fixture) => {
      const store = fixture.open();
      const path = addText(store, "a", Buffer.from("a"), []);
      const holder = fixture.startSilo(["hold-transaction"]);
      await isHeld(holder);
      assert.deepEqual(queryAllValidPaths(store), [path]);
      writeFileSync(`${fixture.dir}/b`, "b");
      const writer = fixture.startSilo(["add", `${fixture.dir}/b`]);
      const written = exitOf(writer);
      await appears(fixture, /-b$/);
      assert.deepEqual(queryAllValidPaths(store), [path]);
      holder.stdin!.end();
      assert.equal(await written, 0);
      assert.equal(queryAllValidPaths(store).length, 2);
    });
  });

  test("stock Nix waits for us, too", { skip: skipWithoutNix }, async () => {
    await withStoreFixture(async (fixture) => {
      const store = fixture.open();
      const holder = fixture.startSilo(["hold-transaction"]);
      await isHeld(holder);
      writeFileSync(`${fixture.dir}/b`, "b");
      const writer = spawn("nix-store", ["--add", `${fixture.dir}/b`], { env: fixture.env, stdio: "ignore" });
      const written = exitOf(writer);
      await appears(fixture, /-b$/);
      assert.deepEqual(queryAllValidPaths(store), []);
      holder.stdin!.end();
      assert.equal(await written, 0);
      assert.equal(queryAllValidPaths(store).length, 1);
    });
  });
});

/** Resolves when the files of a path are in place: its process then is about to register it. */
async function appears(fixture: StoreFixture, name: RegExp): Promise<void> {
  const { readdirSync } = await import("node:fs");
  while (!readdirSync(fixture.storeDir).some((each) => name.test(each)))
    await new Promise((next) => setImmediate(next));
}

describe("a transaction", () => {
  test("that throws leaves nothing, within another it belongs to that", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const [a, b] = [fakePath("a"), fakePath("b")];
      assert.throws(
        () =>
          store.db.transaction(() => {
            registerValidPaths(store, [fakeInfo(a)]);
            registerValidPaths(store, [fakeInfo(b)]);
            throw new RangeError("changed my mind");
          }),
        RangeError,
      );
      assert.deepEqual(queryAllValidPaths(store), []);
      registerValidPaths(store, [fakeInfo(a)]);
      assert.deepEqual(queryAllValidPaths(store), [a]);
    });
  });

  test("of a process that was killed is as if it had never been", async () => {
    await withStoreFixture(async (fixture) => {
      const holder = fixture.startSilo(["hold-transaction"]);
      await isHeld(holder);
      holder.kill("SIGKILL");
      await exitOf(holder);
      addText(fixture.open(), "a", Buffer.from("a"), []);
    });
  });
});

test("what SQLite says about constraints is told with the file", () => {
  withStoreFixture((fixture) => {
    const store = fixture.open();
    assert.throws(
      () => store.db.statement("insert into Refs values (1, 1)").run(),
      (error) =>
        error instanceof DatabaseError &&
        error.failure === "constraint" &&
        error.message.startsWith(`Cannot use the database '${fixture.dir}/state/db/db.sqlite': `),
    );
  });
});

test("sqlite3 finds the database in order", { skip: skipWithout("sqlite3", "--version") }, async () => {
  await withStoreFixture(async (fixture) => {
    const store = fixture.open();
    for (let i = 0; i < 50; i++) addText(store, `t${i}`, Buffer.from(`${i}`), []);
    store.close();
    const { spawnSync } = await import("node:child_process");
    const { stdout } = spawnSync("sqlite3", [
      `${fixture.dir}/state/db/db.sqlite`,
      "pragma integrity_check; pragma foreign_key_check",
    ]);
    assert.equal(String(stdout), "ok\n");
    assert(existsSync(`${fixture.dir}/state/db/schema`));
    assert.equal(readFileSync(`${fixture.dir}/state/db/schema`, "latin1"), "10");
  });
});
