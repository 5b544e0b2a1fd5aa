import assert from "node:assert/strict";
import { lstatSync } from "node:fs";
import { describe, test } from "node:test";
import { collectGarbage } from "../../src/gc/collect-garbage.ts";
import type { CollectAction } from "../../src/store/collect-service.ts";
import { decodeBytes } from "../../src/formats/byte-string.ts";
import { tryParseStorePath } from "../../src/formats/store-path.ts";
import { chanceFrom, generateLeftovers, generateRoots, generateStore } from "../support/random-store.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";

const stores = process.env["SILO_LONG"] === "1" ? 600 : 60;

describe("live and dead sets are those of stock Nix", { skip: skipWithoutNix }, () => {
  for (const keepOutputs of [false, true]) {
    for (const keepDerivations of [false, true]) {
      test(`keep-outputs ${keepOutputs}, keep-derivations ${keepDerivations}`, () => {
        const offset = (keepOutputs ? 2 : 0) + (keepDerivations ? 1 : 0);
        for (let seed = offset; seed < stores; seed += 4) {
          withStoreFixture((fixture) => compareSets(fixture, seed, keepOutputs, keepDerivations));
        }
      });
    }
  }
});

function compareSets(fixture: StoreFixture, seed: number, keepOutputs: boolean, keepDerivations: boolean): void {
  const chance = chanceFrom(seed);
  const generated = generateStore(fixture, chance, 3 + chance.upTo(30));
  generateRoots(fixture, chance, generated);
  generateLeftovers(fixture, chance, generated);
  const settings = [
    ["keep-outputs", String(keepOutputs)],
    ["keep-derivations", String(keepDerivations)],
  ] as const;
  const store = fixture.open(settings);
  const collected = (action: CollectAction) => [
    ...collectGarbage(store, { action, paths: [], liveness: "respect", referrers: "keep", maxFreed: undefined }).paths,
  ];
  const live = collected("return-live");
  const dead = collected("return-dead");
  store.close();
  const options = settings.flatMap(([name, value]) => ["--option", name, value]);
  const nix = (flag: string) =>
    decodeBytes(fixture.nix(["--gc", flag, ...options]))
      .split("\n")
      .slice(0, -1);
  // Nix deletes what is no store path even when it only prints, and prints it then.
  assert.deepEqual(dead, nix("--print-dead").sort(), `dead paths of store ${seed}`);
  // Whether Nix comes upon a live path without files depends on which root it meets first.
  const isThere = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  assert.deepEqual(live.filter(isThere), nix("--print-live").filter(isThere).sort(), `live paths of store ${seed}`);
  const foreign = dead.filter((path) => tryParseStorePath(path.slice(fixture.storeDir.length + 1)) === undefined);
  assert.equal(new Set([...live, ...dead]).size, live.length + dead.length, `a path of store ${seed} is in both sets`);
  assert(foreign.every((path) => path.startsWith(fixture.storeDir)));
}
