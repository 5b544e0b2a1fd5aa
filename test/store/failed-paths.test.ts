/** Cached build failures, in the table that Nix 1.x has and Nix 2.x leaves alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { clearFailedPaths, hasPathFailed, queryFailedPaths, registerFailedPath } from "../../src/store/failed-paths.ts";
import { fakePath } from "../support/fake-paths.ts";
import { minimalDerivation } from "../support/minimal-derivation.ts";
import { withStoreFixture } from "../support/store-fixture.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const [a, b] = [fakePath("a"), fakePath("b")].sort() as [ReturnType<typeof fakePath>, ReturnType<typeof fakePath>];

test("there are none, and no table, before the first", () => {
  withStoreFixture((fixture) => {
    const store = fixture.open();
    assert(!hasPathFailed(store, a));
    assert.deepEqual(queryFailedPaths(store), []);
    clearFailedPaths(store, "all");
    clearFailedPaths(store, [a]);
    assert.deepEqual(fixture.rows("select name from sqlite_master where name = 'FailedPaths'"), []);
  });
});

test("they are remembered until cleared, one by one or all", () => {
  withStoreFixture((fixture) => {
    const store = fixture.open();
    registerFailedPath(store, b);
    registerFailedPath(store, a);
    registerFailedPath(store, a);
    assert(hasPathFailed(fixture.open(), a));
    assert.deepEqual(queryFailedPaths(store), [a, b]);
    clearFailedPaths(store, [a]);
    assert.deepEqual(queryFailedPaths(store), [b]);
    registerFailedPath(store, a);
    clearFailedPaths(store, "all");
    assert.deepEqual(queryFailedPaths(store), []);
  });
});

test("clearing a derivation clears its outputs", () => {
  withStoreFixture((fixture) => {
    const store = fixture.open();
    const { drvPath, outputs } = minimalDerivation(store, "x", [], ["out", "dev"]);
    for (const path of [...outputs.values(), a]) registerFailedPath(store, path);
    clearFailedPaths(store, [drvPath]);
    assert.deepEqual(queryFailedPaths(store), [a]);
  });
});

test("stock Nix works beside the table", { skip: skipWithoutNix }, () => {
  withStoreFixture((fixture) => {
    registerFailedPath(fixture.open(), a);
    fixture.nix(["--verify"]);
    fixture.nix(["--gc"]);
    assert.deepEqual(queryFailedPaths(fixture.open()), [a]);
  });
});
