import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { addGraph, type NodeSpec } from "../support/derivation-graph.ts";
import { siloProgram } from "../support/silo-binary.ts";
import { createStoreFixture, type StoreFixture } from "../support/store-fixture.ts";

const count = process.env["SILO_LONG"] === "1" ? 20_000 : 5_000;
const maxMemory = 200 * 1024 * 1024;

interface Run {
  readonly status: number;
  readonly stderr: string;
  /** Bytes, at most. */
  readonly memory: number;
}

/** What the compiled program takes, which starts no more than one builder here: the first one makes nothing. */
async function realise(fixture: StoreFixture, args: readonly string[]): Promise<Run> {
  const child = spawn(
    siloProgram("nix-store"),
    ["--realise", "-Q", "--option", "sandbox", "false", "--option", "substitute", "false", ...args],
    {
      env: fixture.env,
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  let stderr = "";
  let memory = 0;
  const look = setInterval(() => {
    try {
      const peak = /VmHWM:\s+([0-9]+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, "latin1"))?.[1];
      memory = Math.max(memory, Number(peak ?? 0) * 1024);
    } catch {
      // It has ended.
    }
  }, 20);
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString("latin1");
  });
  const [status] = await once(child, "close");
  clearInterval(look);
  return { status: status as number, stderr, memory };
}

const shapes: Readonly<Record<string, (index: number) => number[]>> = {
  "one below the other": (i) => (i === 0 ? [] : [i - 1]),
  "side by side": (i) =>
    i === count - 1 ? Array.from({ length: count - 2 }, (_, input) => input + 1).concat(0) : i === 0 ? [] : [0],
  "in a mesh": (i) => [1, 2, 5].map((step) => i - step).filter((input) => input >= 0),
};

describe(`${count} derivations`, () => {
  for (const [name, inputsOf] of Object.entries(shapes)) {
    test(name, async () => {
      const fixture = createStoreFixture();
      try {
        const store = fixture.open();
        const nodes = Array.from({ length: count }, (_, i): NodeSpec => ({ name: `n${i}`, inputs: inputsOf(i) }));
        const top = `${fixture.storeDir}/${addGraph(store, nodes).at(-1)!.drvPath}`;
        store.close();

        const dry = await realise(fixture, ["--dry-run", top]);
        assert.equal(dry.status, 0, dry.stderr);
        assert.match(dry.stderr, new RegExp(`^these ${count} derivations will be built:$`, "m"));
        assert(dry.memory < maxMemory, `dry run took ${dry.memory >> 20} MiB`);

        const all = await realise(fixture, ["-k", top]);
        assert.equal(all.status, 1, all.stderr.slice(0, 1000));
        assert.match(all.stderr, /failed to produce output path for output 'out'/);
        assert.equal(all.stderr.match(/dependencies of derivation/g)!.length, count - 1);
        assert(all.memory < maxMemory, `it took ${all.memory >> 20} MiB`);
        if (process.env["SILO_LONG"] === "1") console.log(`${name}: ${dry.memory >> 20} and ${all.memory >> 20} MiB`);
      } finally {
        fixture.remove();
      }
    });
  }
});
