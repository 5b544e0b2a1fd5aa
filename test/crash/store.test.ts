/**
 * `kill -9` at random moments of adding, importing, registering and optimising: whatever the moment, the store verifies for silo and
 * for stock Nix, what was valid stays valid, the same work succeeds when done again, and its leftovers are garbage that a
 * collection takes. Ten kills of each; SILO_LONG=1 has a hundred.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, openSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { siloProgram } from "../support/silo-binary.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";
import { createTempStore, type TempStore } from "../support/temp-store.ts";

const kills = process.env["SILO_LONG"] === "1" ? 100 : 10;
const filesOfTree = 300;

/** A tree in which many files have the same contents as files of other trees. */
function makeTree(store: TempStore, name: string, salt: string): string {
  const tree = join(store.dir, name);
  for (let i = 0; i < filesOfTree; i++) {
    const folder = join(tree, `d${i % 7}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, `f${i}`),
      i % 3 === 0 ? `${salt} ${i}\n`.repeat(200) : `the same everywhere ${i}\n`.repeat(200),
    );
  }
  return tree;
}

/** Runs nix-store of silo and kills it after so long, if it has not ended before. True when it was killed. */
function runAndKill(store: TempStore, args: readonly string[], afterMs: number, stdin?: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const input = stdin === undefined ? "ignore" : openSync(stdin, "r");
    const child = spawn(siloProgram("nix-store"), args, { env: { ...store.env }, stdio: [input, "ignore", "ignore"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), afterMs);
    child.once("error", reject);
    child.once("exit", (_, signal) => {
      clearTimeout(timer);
      resolve(signal === "SIGKILL");
    });
  });
}

function assertSound(store: TempStore, validBefore: ReadonlySet<string>): void {
  for (const maker of ["silo", "nix"] as const) {
    const verified = store.run(maker, "nix-store", ["--verify", "--check-contents"]);
    assert.equal(verified.status, 0, `${maker}: ${verified.stderr}`);
  }
  const valid = validPaths(store);
  for (const path of validBefore) assert.ok(valid.has(path), `${path} is not valid any more`);
}

function validPaths(store: TempStore): Set<string> {
  return new Set(store.rows("select path from ValidPaths").map(([path]) => String(path)));
}

/** What is in the store directory without being valid. */
function leftovers(store: TempStore): string[] {
  const valid = validPaths(store);
  return readdirSync(store.storeDir).filter((name) => name !== ".links" && !valid.has(`${store.storeDir}/${name}`));
}

/** How long the work takes undisturbed decides when it is killed. */
async function campaign(
  work: (store: TempStore, round: string) => { readonly args: readonly string[]; readonly stdin?: string },
): Promise<void> {
  const store = createTempStore();
  try {
    store.output("silo", ["--add", makeTree(store, "kept", "kept")]);
    const trial = work(store, "trial");
    const begun = performance.now();
    await runAndKill(store, trial.args, 60_000, trial.stdin);
    const durationMs = performance.now() - begun;
    let killed = 0;
    for (let round = 0; round < kills; round++) {
      const { args, stdin } = work(store, `round${round}`);
      const before = validPaths(store);
      if (await runAndKill(store, args, Math.random() * durationMs, stdin)) killed++;
      // Each check reads everything: not after every kill of a long campaign, but always after the last.
      if (round % 5 === 4 || round === kills - 1) assertSound(store, before);
      else for (const path of before) assert.ok(validPaths(store).has(path), `${path} is not valid any more`);
      assert.equal(await runAndKill(store, args, 60_000, stdin), false);
    }
    assert.ok(killed > 0, "no run was caught in the middle");
    assertSound(store, validPaths(store));
    const keep = [...validPaths(store)][0]!;
    store.output("silo", ["--add-root", join(store.dir, "root-link"), "--indirect", "--realise", keep]);
    store.output("silo", ["--gc"]);
    assert.deepEqual(leftovers(store), []);
    assertSound(store, new Set([keep]));
  } finally {
    store.remove();
  }
}

test("adding a tree", { skip: skipWithoutNix }, async () => {
  await campaign((store, round) => ({ args: ["--add", makeTree(store, round, round)] }));
});

test("adding a tree that is optimised at once", { skip: skipWithoutNix }, async () => {
  await campaign((store, round) => ({
    args: ["--option", "auto-optimise-store", "true", "--add", makeTree(store, round, round)],
  }));
});

test("importing", { skip: skipWithoutNix }, async () => {
  const source = createTempStore("chroot");
  try {
    await campaign((store, round) => {
      const from: TempStore = { ...source, env: { ...source.env, NIX_STORE_DIR: store.storeDir } };
      const stdin = join(store.dir, `${round}.export`);
      const other = join(store.dir, "other-state");
      const env = {
        NIX_STATE_DIR: other,
        NIX_STORE_DIR: store.storeDir,
        NIX_REMOTE: `local?real=${join(store.dir, "other-store")}`,
      };
      const path = store.output("silo", ["--add", makeTree(from, `import-${round}`, round)], { env }).trim();
      writeFileSync(stdin, store.run("silo", "nix-store", ["--export", path], { env }).stdout);
      return { args: ["--import"], stdin };
    });
  } finally {
    source.remove();
  }
});

test("optimising", { skip: skipWithoutNix }, async () => {
  await campaign((store, round) => {
    store.output("silo", ["--add", makeTree(store, round, round)]);
    return { args: ["--optimise"] };
  });
});
