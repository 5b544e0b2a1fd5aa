/** Every question to the database, on paths that this process and stock Nix registered. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hashBytes } from "../../src/formats/hash.ts";
import { hashPart } from "../../src/formats/store-path.ts";
import { addText } from "../../src/store/add.ts";
import { InvalidPath } from "../../src/store/path-info.ts";
import { requireValid } from "../../src/store/closure.ts";
import {
  BadDatabaseRow,
  isValidPath,
  queryAllPathInfos,
  queryAllValidPaths,
  queryDerivationOutputs,
  queryPathFromHashPart,
  queryPathInfo,
  queryPathInfos,
  queryReferrers,
  queryValidDerivers,
  queryValidPaths,
  requirePathInfo,
} from "../../src/store/queries.ts";
import { addSignatures, registerValidPaths } from "../../src/store/register.ts";
import { fakeInfo, fakePath } from "../support/fake-paths.ts";
import { minimalDerivation } from "../support/minimal-derivation.ts";
import { withStoreFixture } from "../support/store-fixture.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const [a, b, c, absent] = ["a", "b", "c", "absent"].map(fakePath) as [never, never, never, never];

describe("paths", () => {
  test("valid and not", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      registerValidPaths(store, [fakeInfo(a), fakeInfo(b, [a]), fakeInfo(c, [a, b, c])]);
      assert(isValidPath(store, a));
      assert(!isValidPath(store, absent));
      assert.deepEqual(queryValidPaths(store, [absent, c, a]), new Set([a, c].sort()));
      assert.deepEqual(queryValidPaths(store, []), new Set());
      assert.deepEqual(queryAllValidPaths(store), [a, b, c].sort());
      requireValid(store, [a, b]);
      assert.throws(
        () => requireValid(store, [a, absent]),
        (error) =>
          error instanceof InvalidPath && error.message === `path '${fixture.storeDir}/${absent}' is not valid`,
      );
    });
  });

  test("referrers", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      registerValidPaths(store, [fakeInfo(a), fakeInfo(b, [a]), fakeInfo(c, [a, b, c])]);
      assert.deepEqual(queryReferrers(store, a), [b, c].sort());
      assert.deepEqual(queryReferrers(store, c), [c]);
      assert.deepEqual(queryReferrers(store, absent), []);
    });
  });

  test("by hash part", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      registerValidPaths(store, [fakeInfo(a), fakeInfo(b)]);
      assert.equal(queryPathFromHashPart(store, hashPart(a)), a);
      assert.equal(queryPathFromHashPart(store, hashPart(absent)), undefined);
      assert.equal(queryPathFromHashPart(store, "0".repeat(32)), undefined);
      assert.equal(queryPathFromHashPart(store, "z".repeat(32)), undefined);
      assert.equal(queryPathFromHashPart(store, hashPart(a).slice(0, 31)), undefined);
    });
  });

  test("tens of thousands in one question", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const paths = Array.from({ length: 40_000 }, (_, i) => fakePath(`p${i}`));
      registerValidPaths(
        store,
        paths.map((path) => fakeInfo(path)),
      );
      assert.equal(queryValidPaths(store, [...paths, absent]).size, paths.length);
      assert.equal(queryPathInfos(store, paths).size, paths.length);
    });
  });
});

describe("path info", () => {
  test("comes back as it was registered, alone and among others", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const text = addText(store, "text", Buffer.from("text"), []);
      const infos = [
        fakeInfo(a),
        fakeInfo(b, [a, b], { deriver: c, ultimate: true, signatures: ["k-1:AAAA", "k-2:BBBB"], narSize: undefined }),
        fakeInfo(c, [a, b], { narSize: 2 ** 40, registrationTimeSec: 4_000_000_000 }),
      ];
      registerValidPaths(store, infos);
      for (const info of infos) assert.deepEqual(requirePathInfo(store, info.path), info);
      const all = queryAllPathInfos(store);
      assert.deepEqual([...all.keys()], [...[a, b, c], text].sort());
      for (const info of infos) assert.deepEqual(all.get(info.path), info);
      assert.deepEqual([...queryPathInfos(store, [c, absent, a]).keys()], [a, c].sort());
      assert.equal(queryPathInfo(store, absent), undefined);
      assert.throws(() => requirePathInfo(store, absent), InvalidPath);
      assert.deepEqual(all.get(text)!.contentAddress, {
        kind: "text",
        hash: hashBytes("sha256", "text"),
      });
    });
  });

  test("with damaged columns is told as such", () => {
    const damages: readonly (readonly [sql: string, reason: RegExp])[] = [
      ["hash = 'rubbish'", /hash/],
      ["hash = 'sha256:00'", /wrong length/],
      ["deriver = 'rubbish'", /is not in the Nix store/],
      ["ca = 'rubbish'", /content address/],
      ["path = '/elsewhere/x'", /is not a store path/],
    ];
    for (const [sql, reason] of damages) {
      withStoreFixture((fixture) => {
        const store = fixture.open();
        registerValidPaths(store, [fakeInfo(a)]);
        fixture.execute(`update ValidPaths set ${sql}`);
        assert.throws(
          () => queryAllPathInfos(store),
          (error) => error instanceof BadDatabaseRow && reason.test(error.message),
          sql,
        );
      });
    }
  });

  test("of Nix's spelling of nothing", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      registerValidPaths(store, [fakeInfo(a)]);
      fixture.execute("update ValidPaths set deriver = '', narSize = 0, sigs = '', ca = '', ultimate = 0");
      assert.deepEqual(queryPathInfo(store, a), fakeInfo(a, [], { narSize: undefined }));
    });
  });
});

describe("derivations", () => {
  test("outputs and derivers", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const { drvPath, outputs } = minimalDerivation(store, "x", [], ["out", "dev"]);
      assert.deepEqual(queryDerivationOutputs(store, drvPath), new Map([...outputs].sort()));
      assert.deepEqual(queryDerivationOutputs(store, absent), new Map());
      // Whether the output is valid or not.
      assert.deepEqual(queryValidDerivers(store, outputs.get("dev")!), [drvPath]);
      assert.deepEqual(queryValidDerivers(store, absent), []);
    });
  });
});

describe("signatures", () => {
  test("are added once each, to those that are there", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      registerValidPaths(store, [fakeInfo(a)]);
      addSignatures(store, a, []);
      assert.deepEqual(requirePathInfo(store, a).signatures, []);
      assert.deepEqual(fixture.rows("select sigs from ValidPaths"), [[null]]);
      addSignatures(store, a, ["b:2"]);
      addSignatures(store, a, ["a:1", "b:2"]);
      assert.deepEqual(requirePathInfo(store, a).signatures, ["a:1", "b:2"]);
      assert.throws(() => addSignatures(store, absent, ["a:1"]), InvalidPath);
    });
  });
});

test("stock Nix answers the same", { skip: skipWithoutNix }, () => {
  withStoreFixture((fixture) => {
    const store = fixture.open();
    const { drvPath, outputs } = minimalDerivation(store, "x", [addText(store, "src", Buffer.from("src"), [])]);
    const out = outputs.get("out")!;
    registerValidPaths(store, [fakeInfo(a), fakeInfo(out, [a, out], { deriver: drvPath })]);
    const full = (path: string) => `${fixture.storeDir}/${path}`;
    const lines = (...args: string[]) => String(fixture.nix(args)).trim().split("\n");
    assert.deepEqual(lines("-q", "--references", full(out)).sort(), requirePathInfo(store, out).references.map(full));
    assert.deepEqual(lines("-q", "--referrers", full(a)), queryReferrers(store, a).map(full));
    assert.deepEqual(lines("-q", "--deriver", full(out)), [full(drvPath)]);
    assert.deepEqual(lines("-q", "--outputs", full(drvPath)), [full(out)]);
    assert.deepEqual(lines("-q", "--size", full(out)), ["120"]);
    assert.match(lines("-q", "--hash", full(out))[0]!, /^sha256:[0-9a-z]{52}$/);
  });
});
