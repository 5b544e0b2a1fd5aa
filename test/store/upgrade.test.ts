/** Stores of older Nix versions: upgraded step by step, also when a step was not finished. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { runtime } from "#runtime";
import type { StorePath } from "../../src/formats/store-path.ts";
import { addText } from "../../src/store/add.ts";
import { BadFlatDatabase } from "../../src/store/database/flat-database.ts";
import { queryFailedPaths } from "../../src/store/failed-paths.ts";
import { showPath } from "../../src/store/local-store.ts";
import {
  queryAllPathInfos,
  queryAllValidPaths,
  queryDerivationOutputs,
  queryPathInfo,
  queryReferrers,
} from "../../src/store/queries.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";
import { minimalDerivation } from "../support/minimal-derivation.ts";

/** The tables of Nix 1.x, as its schema.sql makes them. */
const schema7 = `
create table ValidPaths (id integer primary key autoincrement not null, path text unique not null, hash text not null,
  registrationTime integer not null, deriver text, narSize integer);
create table Refs (referrer integer not null, reference integer not null, primary key (referrer, reference),
  foreign key (referrer) references ValidPaths(id) on delete cascade,
  foreign key (reference) references ValidPaths(id) on delete restrict);
create index IndexReferrer on Refs(referrer);
create index IndexReference on Refs(reference);
create trigger DeleteSelfRefs before delete on ValidPaths begin delete from Refs where referrer = old.id and reference = old.id; end;
create table DerivationOutputs (drv integer not null, id text not null, path text not null, primary key (drv, id),
  foreign key (drv) references ValidPaths(id) on delete cascade);
create index IndexDerivationOutputs on DerivationOutputs(path);
create table FailedPaths (path text primary key not null, time integer not null);
`;

const later: Readonly<Record<number, string>> = {
  8: "alter table ValidPaths add column ultimate integer; alter table ValidPaths add column sigs text;",
  9: "drop table FailedPaths;",
};

interface OldPaths {
  readonly a: StorePath;
  /** Refers to `a` and to itself. */
  readonly b: StorePath;
  readonly failed: string;
}

/** Makes a store, and then its database as an older Nix would have left it. */
function makeOldStore(fixture: StoreFixture, version: number): OldPaths {
  const store = fixture.open();
  const a = addText(store, "a", Buffer.from("a"), []);
  const b = addText(store, "b", Buffer.from(showPath(store, a)), [a]);
  const failed = `${fixture.storeDir}/${"0".repeat(32)}-failed`;
  store.db.exec(
    `insert into Refs select id, id from ValidPaths where path = '${showPath(store, b)}';
     update ValidPaths set registrationTime = 1234567890, deriver = path where path = '${showPath(store, a)}'`,
  );
  store.close();
  const rows = fixture.rows("select id, path, hash, registrationTime, deriver, narSize from ValidPaths order by id");
  const references = fixture.rows("select referrer, reference from Refs");
  rmSync(`${fixture.dir}/state/db/db.sqlite`);
  const db = runtime.openDatabase(`${fixture.dir}/state/db/db.sqlite`, "create");
  db.exec(schema7);
  for (const row of rows) db.prepare("insert into ValidPaths values (?, ?, ?, ?, ?, ?)").run(...row);
  for (const row of references) db.prepare("insert into Refs values (?, ?)").run(...row);
  db.prepare("insert into FailedPaths values (?, 99)").run(failed);
  for (let step = 8; step <= version; step++) db.exec(later[step]!);
  db.close();
  writeFileSync(`${fixture.dir}/state/db/schema`, String(version));
  return { a, b, failed };
}

function checkUpgraded(fixture: StoreFixture, { a, b }: OldPaths): void {
  const store = fixture.open();
  assert.deepEqual(queryAllValidPaths(store).sort(), [a, b].sort());
  const info = queryPathInfo(store, a)!;
  assert.equal(info.registrationTimeSec, 1234567890);
  assert.equal(info.deriver, a);
  assert.deepEqual([info.ultimate, info.signatures, info.contentAddress], [false, [], undefined]);
  assert.deepEqual(queryPathInfo(store, b)!.references, [a, b].sort());
  assert.deepEqual(queryReferrers(store, a), [b]);
  assert.equal(readFileSync(`${fixture.dir}/state/db/schema`, "latin1"), "10");
  addText(store, "c", Buffer.from("c"), [b]);
}

describe("schemas 6 to 9", () => {
  for (const version of [6, 7, 8, 9]) {
    test(`${version} becomes 10`, () => {
      withStoreFixture((fixture) => {
        const paths = makeOldStore(fixture, version);
        checkUpgraded(fixture, paths);
        const known = version < 9 ? [paths.failed] : [];
        assert.deepEqual(
          queryFailedPaths(fixture.open()).map((path) => `${fixture.storeDir}/${path}`),
          known,
        );
      });
    });

    test(`${version} becomes 10 so that Nix can go on`, { skip: skipWithoutNix }, () => {
      withStoreFixture((fixture) => {
        makeOldStore(fixture, version);
        fixture.open().close();
        writeFileSync(`${fixture.dir}/d`, "d");
        fixture.nix(["--add", `${fixture.dir}/d`]);
        assert.equal(String(fixture.nix(["--verify", "--check-contents"])), "");
      });
    });
  }

  test("7 to 10 goes on wherever a Nix was killed", () => {
    const steps = [
      "alter table ValidPaths add column ultimate integer",
      "alter table ValidPaths add column sigs text",
      "drop table FailedPaths",
      "alter table ValidPaths add column ca text",
    ];
    for (let done = 0; done <= steps.length; done++) {
      withStoreFixture((fixture) => {
        const paths = makeOldStore(fixture, 7);
        for (const step of steps.slice(0, done)) fixture.execute(step);
        checkUpgraded(fixture, paths);
      });
    }
  });

  test("the messages say what takes long, and nothing when there is nothing to do", () => {
    withStoreFixture((fixture) => {
      makeOldStore(fixture, 6);
      fixture.open().close();
      const expected =
        process.getuid?.() === 0
          ? ["error: removing immutable bits from the Nix store (this may take a while)..."]
          : [];
      assert.deepEqual(fixture.messages, expected);
      fixture.open();
      assert.deepEqual(fixture.messages, expected);
    });
  });

  test("6 to 7 makes immutable files deletable, links untouched", { skip: immutableFlagsFault() }, () => {
    withStoreFixture((fixture) => {
      makeOldStore(fixture, 6);
      const tree = `${fixture.storeDir}/${"1".repeat(32)}-tree`;
      mkdirSync(`${tree}/sub`, { recursive: true });
      writeFileSync(`${tree}/sub/file`, "x");
      const outside = `${fixture.dir}/outside`;
      writeFileSync(outside, "x");
      spawnSync("ln", ["-s", outside, `${tree}/link`]);
      spawnSync("chattr", ["+i", outside, `${tree}/sub/file`, `${tree}/sub`, tree]);
      try {
        fixture.open();
        unlinkSync(`${tree}/sub/file`);
        rmSync(tree, { recursive: true });
        assert.throws(() => unlinkSync(outside), /EPERM|not permitted/);
      } finally {
        spawnSync("chattr", ["-R", "-i", outside, tree]);
      }
    });
  });
});

function immutableFlagsFault(): string | false {
  if (process.geteuid?.() !== 0) return "needs root";
  return withStoreFixture(({ dir }) => {
    writeFileSync(`${dir}/probe`, "");
    const { status, error } = spawnSync("chattr", ["+i", `${dir}/probe`]);
    if (error !== undefined || status !== 0) return "no immutable flags here";
    spawnSync("chattr", ["-i", `${dir}/probe`]);
    return false;
  });
}

describe("schema 5, text files", () => {
  /** Turns a store's database into text files, as Nix 0.12 to 0.16 have it. */
  function makeFlatStore(fixture: StoreFixture) {
    const store = fixture.open();
    const a = addText(store, "a", Buffer.from("a"), []);
    const b = addText(store, "b", Buffer.from(showPath(store, a)), [a]);
    const { drvPath, outputs } = minimalDerivation(store, "old", [a]);
    const infos = queryAllPathInfos(store);
    store.close();
    const dbDir = `${fixture.dir}/state/db`;
    rmSync(`${dbDir}/db.sqlite`);
    for (const directory of ["info", "referrer", "failed"]) mkdirSync(`${dbDir}/${directory}`);
    for (const info of infos.values()) {
      const lines = [
        `Hash: sha256:${Buffer.from(info.narHash.bytes).toString("hex")}`,
        `References: ${info.references.map((path) => `${fixture.storeDir}/${path}`).join(" ")}`,
        `Deriver: ${info.path === b ? `${fixture.storeDir}/${a}` : ""}`,
        "Registered-At: 1234567890",
      ];
      writeFileSync(`${dbDir}/info/${info.path}`, `${lines.join("\n")}\n`);
      for (const reference of info.references)
        writeFileSync(`${dbDir}/referrer/${reference}`, ` ${fixture.storeDir}/${info.path}`, { flag: "a" });
    }
    writeFileSync(`${dbDir}/info/.hidden`, "not an entry");
    writeFileSync(`${dbDir}/failed/${"0".repeat(32)}-failed`, "");
    writeFileSync(`${dbDir}/failed/not a store path`, "");
    writeFileSync(`${dbDir}/schema`, "5");
    return { a, b, drvPath, outputs, dbDir };
  }

  const check = (fixture: StoreFixture, { a, b, drvPath, outputs }: ReturnType<typeof makeFlatStore>) => {
    const store = fixture.open();
    assert.deepEqual(queryAllValidPaths(store).sort(), [a, b, drvPath].sort());
    const info = queryPathInfo(store, b)!;
    assert.deepEqual(info.references, [a]);
    assert.equal(info.deriver, a);
    assert.equal(info.narSize, undefined);
    assert.equal(info.registrationTimeSec, 1234567890);
    assert.deepEqual(queryDerivationOutputs(store, drvPath), outputs);
    assert.deepEqual(queryFailedPaths(store), [`${"0".repeat(32)}-failed`]);
    assert.deepEqual(queryReferrers(store, a), [b, drvPath].sort());
  };

  test("become a database", () => {
    withStoreFixture((fixture) => {
      const paths = makeFlatStore(fixture);
      check(fixture, paths);
      assert(fixture.messages.includes("error: upgrading Nix store to new schema (this may take a while)..."));
    });
  });

  test("are imported again when a crash came before the number was written", () => {
    withStoreFixture((fixture) => {
      const paths = makeFlatStore(fixture);
      fixture.open().close();
      for (const number of ["5", "6", "7"]) {
        writeFileSync(`${paths.dbDir}/schema`, number);
        const store = fixture.open();
        assert.equal(queryAllValidPaths(store).length, 3);
        store.close();
      }
      check(fixture, paths);
    });
  });

  test("that make no sense are refused, and nothing is imported", () => {
    const cases: readonly (readonly [text: string, reason: RegExp])[] = [
      ["Hash\n", /has no colon/],
      ["Hash: sha256:00\n", /wrong length/],
      ["Hash: md5:d41d8cd98f00b204e9800998ecf8427e\n", /should have type 'sha256'/],
      ["References: /elsewhere/x\n", /hash/i],
      [`Hash: sha256:${"0".repeat(64)}\nReferences: /elsewhere/x\n`, /is not in the Nix store/],
    ];
    for (const [text, reason] of cases) {
      withStoreFixture((fixture) => {
        const { dbDir, b } = makeFlatStore(fixture);
        writeFileSync(`${dbDir}/info/${b}`, text);
        assert.throws(
          () => fixture.open(),
          (error) =>
            error instanceof BadFlatDatabase && error.file === `${dbDir}/info/${b}` && reason.test(error.reason),
        );
        assert.equal(readFileSync(`${dbDir}/schema`, "latin1"), "5");
        assert.deepEqual(fixture.rows("select name from sqlite_master where name = 'ValidPaths'"), []);
      });
    }
    withStoreFixture((fixture) => {
      const { dbDir, a, b } = makeFlatStore(fixture);
      rmSync(`${dbDir}/info/${a}`);
      assert.throws(() => fixture.open(), /its reference '.*-a' is not valid/);
      assert(b.length > 0);
    });
  });
});
