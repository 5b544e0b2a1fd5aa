/** Opening a store: what is made, what is refused, who may read what. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { describe, test } from "node:test";
import { runtime } from "#runtime";
import { addPath, addText, recursiveSha256 } from "../../src/store/add.ts";
import { DatabaseError } from "../../src/store/database/store-database.ts";
import { UnsupportedSchema } from "../../src/store/database/schema-version.ts";
import { StoreNotWritable } from "../../src/store/open-local-store.ts";
import { SymlinkedStore } from "../../src/store/prepare-directories.ts";
import { queryAllValidPaths } from "../../src/store/queries.ts";
import { driverCommand, type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const isRoot = process.geteuid?.() === 0;
const text = (content: string) => Buffer.from(content);

describe("a new store", () => {
  test("has the directories of Nix, with their modes", () => {
    withStoreFixture((fixture) => {
      fixture.open();
      const { dir } = fixture;
      for (const path of [
        "store/.links",
        "state/db",
        "state/temproots",
        "state/gcroots/per-user",
        "state/profiles/per-user",
      ]) {
        assert.equal(lstatSync(`${dir}/${path}`).mode & 0o7777, 0o755, path);
      }
      assert.equal(readlinkSync(`${dir}/state/gcroots/profiles`), `${dir}/state/profiles`);
      assert.equal(readFileSync(`${dir}/state/db/schema`, "latin1"), "10");
      assert.equal(statSync(`${dir}/state/db/big-lock`).mode & 0o777, 0o600);
      assert.equal(statSync(`${dir}/state/db/reserved`).size, 8 << 20);
      assert.deepEqual(fixture.messages, []);
    });
  });

  test("has the same files as one that Nix made", { skip: skipWithoutNix }, () => {
    const listing = (make: (fixture: StoreFixture) => void) =>
      withStoreFixture((fixture) => {
        make(fixture);
        const { stdout } = spawnSync("find", [".", "-printf", "%p %y %m\\n"], { cwd: fixture.dir });
        return String(stdout)
          .split("\n")
          .filter((line) => !/profiles-[0-9]|\.nix-|\.cache|db.sqlite-|gc-socket|gc.lock/.test(line))
          .sort();
      });
    const ours = listing((fixture) => fixture.open().close());
    const theirs = listing((fixture) => fixture.nix(["--init"]));
    assert.deepEqual(ours, theirs);
  });

  test("has the tables of Nix", { skip: skipWithoutNix }, () => {
    const ours = withStoreFixture((fixture) => {
      fixture.open().close();
      return describeSchema(fixture);
    });
    const theirs = withStoreFixture((fixture) => {
      fixture.nix(["--init"]);
      return describeSchema(fixture);
    });
    assert.deepEqual(ours, theirs);
  });

  test("whose maker was killed before it wrote the number is finished by the next", () => {
    withStoreFixture((fixture) => {
      const first = fixture.open();
      addText(first, "a", text("a"), []);
      first.close();
      rmSync(`${fixture.dir}/state/db/schema`);
      const store = fixture.open();
      assert.equal(queryAllValidPaths(store).length, 1);
      assert.equal(readFileSync(`${fixture.dir}/state/db/schema`, "latin1"), "10");
    });
  });

  test("is made once by many at the same time", async () => {
    await withStoreFixture(async (fixture) => {
      const makers = Array.from({ length: 6 }, () => fixture.startSilo(["open"]));
      const statuses = await Promise.all(makers.map((maker) => new Promise((done) => maker.on("exit", done))));
      assert.deepEqual(statuses, Array(6).fill(0));
    });
  });

  test("can be opened while its maker lives", async () => {
    await withStoreFixture(async (fixture) => {
      const maker = fixture.startSilo(["hold-store"]);
      const exited = new Promise((done) => maker.on("exit", done));
      await new Promise((held) => maker.stdout!.once("data", held));
      // As if the number had come a moment later: whoever waits must see it, and not wait for the maker's end.
      addText(fixture.open(), "a", text("a"), []);
      maker.stdin!.end();
      assert.equal(await exited, 0);
    });
  });
});

function describeSchema(fixture: StoreFixture): unknown {
  return ["ValidPaths", "Refs", "DerivationOutputs"].map((table) => ({
    table,
    columns: fixture.rows(`pragma table_info(${table})`),
    foreignKeys: fixture.rows(`pragma foreign_key_list(${table})`),
    indexes: fixture
      .rows(`pragma index_list(${table})`)
      .map(([, name, ...rest]) => [name, ...rest, fixture.rows(`pragma index_info('${name}')`)]),
    triggers: fixture
      .rows(`select name, sql from sqlite_master where type = 'trigger' and tbl_name = '${table}'`)
      .map(([name, sql]) => [
        name,
        String(sql)
          .toLowerCase()
          .replace("if not exists ", "")
          .replaceAll(/\s+/g, " ")
          .replaceAll("; end", ";end")
          .replace(";end", "; end"),
      ]),
    autoincrement: String(fixture.rows(`select sql from sqlite_master where name = '${table}'`)[0]).includes(
      "autoincrement",
    ),
  }));
}

describe("a schema that cannot be used", () => {
  const cases: readonly (readonly [number: string, message: RegExp])[] = [
    ["11", /^current Nix store schema is version 11, but I only support 10$/],
    ["4", /Berkeley DB/],
    ["10\n", /schema' is corrupt: it holds "10\\n", expected a decimal number$/],
    [" 10", /is corrupt/],
    ["", /is corrupt/],
    ["ten", /is corrupt/],
    ["9".repeat(60), /is corrupt/],
  ];
  for (const [number, message] of cases) {
    test(`${JSON.stringify(number)} is refused`, () => {
      withStoreFixture((fixture) => {
        fixture.open().close();
        writeFileSync(`${fixture.dir}/state/db/schema`, number);
        assert.throws(
          () => fixture.open(),
          (error) => error instanceof UnsupportedSchema && message.test(error.message),
        );
        assert.throws(() => fixture.open([], "read-only"), UnsupportedSchema);
      });
    });
  }

  test("a file of gigabytes is not read", () => {
    withStoreFixture((fixture) => {
      fixture.open().close();
      spawnSync("truncate", ["-s", "3G", `${fixture.dir}/state/db/schema`]);
      assert.throws(() => fixture.open(), /more than 64 bytes/);
    });
  });

  test("a damaged database is told as such", () => {
    withStoreFixture((fixture) => {
      fixture.open().close();
      writeFileSync(
        `${fixture.dir}/state/db/db.sqlite`,
        "this is no database, as everybody can see, is it?".repeat(99),
      );
      assert.throws(
        () => fixture.open(),
        (error) => error instanceof DatabaseError && error.failure === "corrupt" && /it is damaged/.test(error.message),
      );
    });
  });

  test("a database that is gone is not made anew", () => {
    withStoreFixture((fixture) => {
      fixture.open().close();
      rmSync(`${fixture.dir}/state/db/db.sqlite`);
      assert.throws(
        () => fixture.open(),
        (error) => error instanceof DatabaseError && error.failure === "cannot-open",
      );
    });
  });
});

describe("a store below a symbolic link", () => {
  test("is refused, at any level", () => {
    withStoreFixture((fixture) => {
      fixture.open().close();
      renameSync(`${fixture.dir}/store`, `${fixture.dir}/elsewhere`);
      symlinkSync(`${fixture.dir}/elsewhere`, `${fixture.dir}/store`);
      assert.throws(
        () => fixture.open(),
        (error) =>
          error instanceof SymlinkedStore && error.path === fixture.storeDir && /is a symlink/.test(error.message),
      );
    });
  });

  test("is accepted where the setting says so", () => {
    withStoreFixture((fixture) => {
      mkdirSync(`${fixture.dir}/elsewhere`);
      symlinkSync(`${fixture.dir}/elsewhere`, `${fixture.dir}/store`);
      addText(fixture.open([["allow-symlinked-store", "true"]]), "a", text("a"), []);
    });
  });
});

describe("reserved space", () => {
  test("has the size of the setting, also when that changes", () => {
    withStoreFixture((fixture) => {
      const size = () => statSync(`${fixture.dir}/state/db/reserved`).size;
      fixture.open([["gc-reserved-space", "1048576"]]).close();
      assert.equal(size(), 1 << 20);
      fixture.open([["gc-reserved-space", "4096"]]).close();
      assert.equal(size(), 4096);
      fixture.open([["gc-reserved-space", "0"]]).close();
      assert.equal(size(), 0);
    });
  });
});

describe("journal", () => {
  const journalOf = (fixture: StoreFixture) => fixture.rows("pragma journal_mode")[0]![0];

  test("is the WAL, and closing leaves nothing beside the database", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      addText(store, "a", text("a"), []);
      assert.equal(store.db.statement("pragma synchronous").row()![0], 1);
      assert.equal(store.db.statement("pragma foreign_keys").row()![0], 1);
      assert.equal(store.db.statement("pragma wal_autocheckpoint").row()![0], 40000);
      assert(existsSync(`${fixture.dir}/state/db/db.sqlite-wal`));
      store.close();
      assert.deepEqual(readdirSync(`${fixture.dir}/state/db`).sort(), ["big-lock", "db.sqlite", "reserved", "schema"]);
      assert.equal(journalOf(fixture), "wal");
    });
  });

  test("is truncated without it, as is one that had it, and Nix goes on", { skip: skipWithoutNix }, () => {
    withStoreFixture((fixture) => {
      const first = fixture.open();
      addText(first, "a", text("a"), []);
      first.close();
      const store = fixture.open([
        ["use-sqlite-wal", "false"],
        ["fsync-metadata", "false"],
      ]);
      addText(store, "b", text("b"), []);
      assert.equal(store.db.statement("pragma synchronous").row()![0], 0);
      store.db.transaction(() => {
        // The lock that Nix takes without a WAL.
        store.db.exec("create table Probe (x); drop table Probe");
        assert(existsSync(`${fixture.dir}/state/db/db.sqlite.lock`));
      });
      assert.equal(store.db.statement("pragma journal_mode").row()![0], "truncate");
      writeFileSync(`${fixture.dir}/conf/nix.conf`, "build-users-group =\nuse-sqlite-wal = false\n");
      writeFileSync(`${fixture.dir}/c`, "c");
      fixture.nix(["--add", `${fixture.dir}/c`]);
      assert.equal(queryAllValidPaths(store).length, 3);
      assert.equal(String(fixture.nix(["--verify", "--check-contents"])), "");
    });
  });
});

describe("another user's store", { skip: isRoot ? false : "needs root" }, () => {
  /** Runs a program of ours as nobody. */
  const asNobody = (fixture: StoreFixture, args: readonly string[]) => {
    chmodSync(fixture.dir, 0o755);
    mkdirSync(`${fixture.dir}/home`, { recursive: true });
    chownSync(`${fixture.dir}/home`, 65534, 65534);
    const [program, ...rest] = driverCommand(args);
    return spawnSync(program!, rest, {
      env: { ...fixture.env, HOME: `${fixture.dir}/home`, DENO_DIR: `${fixture.dir}/home` },
      uid: 65534,
      gid: 65534,
    });
  };

  test("can be read with nobody else using it, and not changed", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      addText(store, "a", text("a"), []);
      store.close();
      const { status, stdout, stderr } = asNobody(fixture, ["query-all"]);
      assert.equal(status, 0, String(stderr));
      assert.match(String(stdout), /-a\n$/);
      writeFileSync(`${fixture.dir}/b`, "b");
      const added = asNobody(fixture, ["add", `${fixture.dir}/b`]);
      assert.equal(added.status, 1);
      assert.match(
        String(added.stderr),
        /^error: Cannot change the store .* run as its owner, have the owner run 'silo daemon'/m,
      );
    });
  });

  test("can be read while its owner has it open and writes", () => {
    withStoreFixture((fixture) => {
      addText(fixture.open(), "a", text("a"), []);
      const { status, stdout, stderr } = asNobody(fixture, ["query-all"]);
      assert.equal(status, 0, String(stderr));
      assert.match(String(stdout), /-a\n$/);
    });
  });
});

test("a store opened read-only makes nothing and refuses changes", () => {
  withStoreFixture((fixture) => {
    assert.throws(() => fixture.open([], "read-only"), DatabaseError);
    assert(!existsSync(fixture.storeDir));
    const owner = fixture.open();
    addText(owner, "a", text("a"), []);
    owner.close();
    const store = fixture.open([], "read-only");
    assert.equal(queryAllValidPaths(store).length, 1);
    assert.throws(() => addText(store, "b", text("b"), []), StoreNotWritable);
    writeFileSync(`${fixture.dir}/b`, "b");
    assert.throws(() => addPath(store, `${fixture.dir}/b`, { name: "b", method: recursiveSha256 }), StoreNotWritable);
    assert.deepEqual(readdirSync(`${fixture.dir}/state/temproots`), []);
  });
});

test("a store directory mounted read-only is writable for us alone", { skip: isRoot ? false : "needs root" }, () => {
  withStoreFixture((fixture) => {
    fixture.open().close();
    writeFileSync(`${fixture.dir}/a`, "a");
    const script =
      'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && "$@" && ! touch "$NIX_STORE_DIR/probe" 2>/dev/null';
    const { status, stderr } = spawnSync(
      "unshare",
      ["-m", "sh", "-c", script, "sh", fixture.storeDir, ...driverCommand(["add", `${fixture.dir}/a`])],
      { env: { ...process.env, ...fixture.env } },
    );
    assert.equal(status, 0, String(stderr));
    assert.equal(queryAllValidPaths(fixture.open()).length, 1);
  });
});

test("the database's path reaches SQLite byte by byte", () => {
  withStoreFixture(({ dir }) => {
    const name = "d\xc3\xa4t\xc3\xa4 ?#%41&mode=ro"; // bytes of UTF-8
    const db = runtime.openDatabase(`${dir}/${name}`, "create");
    db.exec("create table t (x)");
    db.close();
    assert.deepEqual(
      readdirSync(dir).filter((each) => each !== "conf"),
      ["d\u00e4t\u00e4 ?#%41&mode=ro"],
    );
    assert.throws(
      () => runtime.openDatabase(`${dir}/absent`, "read-write").exec("select 1"),
      (error) => runtime.sqlFailure(error) === "cannot-open",
    );
  });
});
