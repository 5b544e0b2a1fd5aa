import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { autoCollector } from "../../src/gc/auto-collect.ts";
import { addText } from "../../src/store/add.ts";
import type { LocalStore, MakeRoom } from "../../src/store/local-store.ts";
import { openLocalStore } from "../../src/store/open-local-store.ts";
import { queryAllValidPaths } from "../../src/store/queries.ts";
import { silentReporter } from "../../src/store/reporter.ts";
import { settingsOf } from "../support/settings-facts.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";

const size = 100_000;

function openWith(
  fixture: StoreFixture,
  makeRoom: MakeRoom,
  settings: readonly (readonly [string, string])[],
): LocalStore {
  return openLocalStore({
    ...fixture.directories,
    realStoreDir: fixture.storeDir,
    settings: settingsOf(settings),
    reporter: silentReporter,
    access: "read-write",
    makeRoom,
  });
}

function fill(fixture: StoreFixture, count: number): void {
  const store = fixture.open();
  for (let i = 0; i < count; i++) addText(store, `t${i}`, Buffer.alloc(size, i), []);
  store.close();
}

describe("collecting by itself", () => {
  test("frees up to max-free when less than min-free is left, and looks again after the interval only", () =>
    withStoreFixture((fixture) => {
      fill(fixture, 20);
      let now = 0;
      let looks = 0;
      const disk = 5_000_000;
      const used = () => readdirSync(fixture.storeDir).length * size;
      const makeRoom = autoCollector({
        availableBytes: () => {
          looks++;
          return disk - used();
        },
        nowMs: () => now,
      });
      const settings = [
        ["min-free", String(disk - 15 * size)],
        ["max-free", String(disk - 10 * size)],
        ["min-free-check-interval", "5"],
      ] as const;
      const store = openWith(fixture, makeRoom, settings);
      try {
        const kept = addText(store, "kept", Buffer.from("kept"), []);
        const left = queryAllValidPaths(store);
        assert(left.length >= 8 && left.length <= 12, String(left.length));
        assert(left.includes(kept));
        const before = looks;
        addText(store, "another", Buffer.from("another"), []);
        assert.equal(looks, before, "too early to look again");
        now += 6000;
        addText(store, "third", Buffer.from("third"), []);
        assert.equal(looks, before + 1);
        assert.equal(queryAllValidPaths(store).length, left.length + 2, "there is enough now");
      } finally {
        store.close();
      }
    }));

  test("does nothing unless it is told to, and does not try for ever in vain", () =>
    withStoreFixture((fixture) => {
      fill(fixture, 3);
      let looks = 0;
      const surroundings = {
        availableBytes() {
          looks++;
          return 1000;
        },
        nowMs: () => looks * 100_000,
      };
      const idle = openWith(fixture, autoCollector(surroundings), []);
      addText(idle, "a", Buffer.from("a"), []);
      assert.equal(looks, 0);
      assert.equal(queryAllValidPaths(idle).length, 4);
      idle.close();
      const store = openWith(fixture, autoCollector(surroundings), [["min-free", "2000"]]);
      addText(store, "b", Buffer.from("b"), []);
      assert.equal(queryAllValidPaths(store).length, 1);
      const afterFirst = looks;
      addText(store, "c", Buffer.from("c"), []);
      assert.equal(looks, afterFirst + 1, "the last one did not help: it only looks");
      store.close();
    }));

  test("in the background another process does it", async () => {
    await withStoreFixture(async (fixture) => {
      fill(fixture, 5);
      let now = 0;
      let looks = 0;
      const availableBytes = () => {
        looks++;
        return 1000;
      };
      const makeRoom = autoCollector({ availableBytes, nowMs: () => now });
      const store = openWith(fixture, makeRoom, [["min-free", "2000"]]);
      try {
        const kept = addText(fixtureStoreWithout(store), "kept", Buffer.from("kept"), []);
        now = 1e9;
        store.makeRoom("in-background");
        for (let i = 0; looks < 2; i++) {
          assert(i < 2000, "nobody collects");
          await delay(10);
        }
        assert.deepEqual(queryAllValidPaths(store), [kept]);
      } finally {
        store.close();
      }
    });
  });
});

/** The same store, without automatic collection. */
function fixtureStoreWithout(store: LocalStore): LocalStore {
  return { ...store, makeRoom: () => {} };
}
