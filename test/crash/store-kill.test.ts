/**
 * `kill -9` at random moments of adding trees that go to disk before their path is known, and of adding with files shared at
 * once. Whenever it comes, the store verifies, by us and by stock Nix, what was valid is valid still, and the next run
 * finishes the work; what was left over goes with that or with the collector. The other operations are in store.test.ts.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import { campaignRounds, type KillableRun, killAfter, timeRun } from "../support/kill-at-random.ts";
import { siloProgram } from "../support/silo-binary.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";
import { createTempStore, type TempStore } from "../support/temp-store.ts";

interface Campaign {
  readonly store: TempStore;
  /** Prepares round `round` and returns the command to kill. */
  prepare(round: number): KillableRun;
}

const nixStore = siloProgram("nix-store");

function command(store: TempStore, args: readonly string[]): KillableRun {
  return { argv: [nixStore, ...args], env: { ...store.env } };
}

async function runCampaign({ store, prepare }: Campaign): Promise<void> {
  let killed = 0;
  // The first round is not killed: it tells how long the command takes.
  const durationMs = await timeRun(prepare(0));
  for (let round = 1; round <= campaignRounds; round++) {
    const run = prepare(round);
    const before = validPaths(store);
    if (await killAfter(run, Math.random() * durationMs * 1.1)) killed++;
    check(store, before);
    await timeRun(run);
  }
  assert(killed > 0, "nothing was killed: the command is too fast");
  // Everything that is not valid goes with the collector.
  for (const path of validPaths(store)) root(store, path);
  store.output("nix", ["--gc"]);
  const valid = new Set(validPaths(store).map((path) => path.slice(store.storeDir.length + 1)));
  const left = readdirSync(store.storeDir).filter((name) => name !== ".links" && !valid.has(name));
  assert.deepEqual(left, []);
  assert.deepEqual(readdirSync(`${store.stateDir}/temproots`), []);
  check(
    store,
    [...valid].map((name) => `${store.storeDir}/${name}`),
  );
}

const validPaths = (store: TempStore) => store.rows("select path from ValidPaths").map(([path]) => String(path));

function root(store: TempStore, path: string): void {
  const link = `${store.stateDir}/gcroots/${path.slice(store.storeDir.length + 1)}`;
  if (!existsSync(link)) symlinkSync(path, link);
}

/** Both find every path good, and none of `before` is gone. */
function check(store: TempStore, before: readonly string[]): void {
  for (const maker of ["silo", "nix"] as const) {
    const { status, stderr } = store.run(maker, "nix-store", ["--verify", "--check-contents"]);
    assert.equal(status, 0, `${maker}: ${stderr}`);
  }
  const valid = new Set(validPaths(store));
  for (const path of before) assert(valid.has(path), `${path} is not valid any more`);
}

/** A tree of many small files, and one that does not fit in memory; what is in it depends on the seed. */
function makeTree(dir: string, seed: string, files: number): void {
  mkdirSync(dir);
  for (let i = 0; i < files; i++) {
    if (i % 50 === 0) mkdirSync(`${dir}/d${i / 50}`);
    writeFileSync(`${dir}/d${Math.floor(i / 50)}/f${i}`, `${seed} ${i % 40}\n`.repeat(i % 30));
  }
  symlinkSync("d0/f1", `${dir}/link`);
  writeFileSync(`${dir}/large`, Buffer.alloc(9 << 20, seed));
}

describe("killed", { skip: skipWithoutNix }, () => {
  const stores: TempStore[] = [];
  after(() => {
    for (const store of stores) store.remove();
  });
  const newStore = () => {
    const store = createTempStore();
    stores.push(store);
    return store;
  };

  test("while adding what does not fit in memory", async () => {
    const store = newStore();
    await runCampaign({
      store,
      prepare(round) {
        makeTree(`${store.dir}/tree${round}`, `tree ${round}`, 150);
        return command(store, ["--add", `${store.dir}/tree${round}`]);
      },
    });
  });

  test("while adding, with files shared at once", async () => {
    const store = newStore();
    await runCampaign({
      store,
      prepare(round) {
        makeTree(`${store.dir}/tree${round}`, `tree ${round % 3}`, 150);
        writeFileSync(`${store.dir}/tree${round}/own`, `${round}`);
        return command(store, ["--option", "auto-optimise-store", "true", "--add", `${store.dir}/tree${round}`]);
      },
    });
  });
});
