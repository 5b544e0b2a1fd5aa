import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { StorePath } from "../../src/formats/store-path.ts";
import { addPath, recursiveSha256 } from "../../src/store/add.ts";
import { optimiseStore } from "../../src/store/optimise.ts";
import { queryAllValidPaths } from "../../src/store/queries.ts";
import { verifyStore } from "../../src/store/verify.ts";
import { chanceFrom } from "../support/random-store.ts";
import { siloProgram } from "../support/silo-binary.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";

const kills = process.env["SILO_LONG"] === "1" ? 100 : 10;
const objects = 60;
const filesEach = 12;

/** A store of trees that share files, a third of them with a root; these are returned. */
function fill(fixture: StoreFixture): StorePath[] {
  const store = fixture.open();
  const kept: StorePath[] = [];
  for (let i = 0; i < objects; i++) {
    const source = join(fixture.dir, `source-${i}`);
    for (let j = 0; j < filesEach; j++) {
      mkdirSync(join(source, `d${j % 4}`), { recursive: true });
      writeFileSync(join(source, `d${j % 4}`, `f${j}`), j % 3 === 0 ? `shared ${j}` : `own ${i} ${j}`);
    }
    const path = addPath(store, source, { method: recursiveSha256, name: `tree-${i}` });
    if (i % 3 !== 0) continue;
    kept.push(path);
    symlinkSync(join(fixture.storeDir, path), join(store.stateDir, "gcroots", `root-${i}`));
  }
  optimiseStore(store, () => {});
  store.close();
  return kept.sort();
}

async function runUntil(fixture: StoreFixture, killAfterMs: number | undefined): Promise<number> {
  const startMs = performance.now();
  const child = spawn(siloProgram("nix-store"), ["--gc", "--quiet", "--quiet"], { env: fixture.env, stdio: "ignore" });
  const ended = once(child, "exit");
  if (killAfterMs !== undefined) {
    const timer = new AbortController();
    await Promise.race([ended, delay(killAfterMs, undefined, { signal: timer.signal }).catch(() => {})]);
    timer.abort();
    child.kill("SIGKILL");
  }
  await ended;
  return performance.now() - startMs;
}

function requireGood(fixture: StoreFixture, what: string): void {
  const store = fixture.open();
  try {
    assert.equal(verifyStore(store, { contents: "hash-contents", repair: undefined }), "good", what);
  } finally {
    store.close();
  }
}

test(`killed ${kills} times while it collects, the store verifies and the next collection takes the rest`, {
  skip: skipWithoutNix,
}, async () => {
  const chance = chanceFrom(kills);
  let usualMs = 0;
  for (let round = -1; round < kills; round++) {
    await withStoreFixture(async (fixture) => {
      const kept = fill(fixture);
      if (round < 0) {
        usualMs = await runUntil(fixture, undefined);
        return;
      }
      const killAfterMs = (usualMs * chance.upTo(1000)) / 1000;
      await runUntil(fixture, killAfterMs);
      requireGood(fixture, `killed after ${killAfterMs} ms`);
      fixture.nix(["--verify", "--check-contents"]);
      // Every other time stock Nix is the one that finds what was left.
      if (round % 2 === 0) await runUntil(fixture, undefined);
      else fixture.nix(["--gc"]);
      requireGood(fixture, `collected again after ${killAfterMs} ms`);
      const store = fixture.open();
      assert.deepEqual(queryAllValidPaths(store), kept);
      store.close();
      assert.deepEqual(
        readdirSync(fixture.storeDir)
          .filter((name) => name !== ".links")
          .sort(),
        kept,
      );
      // What is shared has its link still, everything else of the dead paths is gone.
      const links = readdirSync(join(fixture.storeDir, ".links")).length;
      assert.equal(links, 4 + kept.length * 8, "files in .links");
    });
  }
});
