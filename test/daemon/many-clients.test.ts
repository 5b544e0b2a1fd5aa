/** Many clients at once, stock Nix's and silo's, that add, ask and build overlapping graphs; SILO_LONG=1 has 64 of them for minutes. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { startDaemon } from "../support/running-daemon.ts";
import { siloProgram } from "../support/silo-binary.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";
import { createTempStore, type TempStore } from "../support/temp-store.ts";

const isLong = process.env["SILO_LONG"] === "1";
const clientCount = isLong ? 64 : 12;
const durationMs = isLong ? 180_000 : 4_000;
const layers = isLong ? 12 : 4;
const width = 6;

/** Layers of derivations, each of which needs three of the layer below. */
function graph(): string {
  const lines: string[] = [];
  for (let layer = 0; layer < layers; layer++) {
    for (let i = 0; i < width; i++) {
      const inputs = layer === 0 ? [] : [i, (i + 1) % width, (i * 5 + 2) % width].map((j) => `n${layer - 1}_${j}`);
      lines.push(
        `n${layer}_${i} = derivation { name = "n${layer}-${i}"; system = builtins.currentSystem; builder = "/bin/sh"; inputs = [ ${inputs.join(" ")} ]; ` +
          `args = [ "-c" "echo log of n${layer}-${i}; (for i in $inputs; do cat $i; done; echo ${layer}.${i}) | /usr/bin/sha256sum > $out" ]; PATH = "/bin:/usr/bin"; };`,
      );
    }
  }
  const tops = Array.from({ length: width }, (_, i) => `n${layers - 1}_${i}`);
  return `rec { ${lines.join("\n")} tops = [ ${tops.join(" ")} ]; }`;
}

test(`${clientCount} clients at once get right results and leave nothing behind`, {
  skip: skipWithoutNix,
  timeout: 900_000,
}, async () => {
  const store = createTempStore();
  const daemon = await startDaemon("silo", store);
  try {
    writeFileSync(`${store.dir}/graph.nix`, graph());
    mkdirSync(`${store.dir}/files`);
    for (let i = 0; i < 20; i++) writeFileSync(`${store.dir}/files/${i}`, `file ${i}\n`.repeat(i * 50 + 1));
    const { stdout } = store.run("nix", "nix-instantiate", ["-A", "tops", `${store.dir}/graph.nix`], {
      env: { NIX_REMOTE: "daemon" },
    });
    const drvs = stdout.toString().trim().split("\n");
    assert.equal(drvs.length, width);
    const isIdle = () => childrenOf(daemon.process.pid!).length === 2;
    await quiet(isIdle);
    const idleDescriptors = descriptorsOf(daemon.process.pid!);

    const outputs = new Map<string, Set<string>>();
    const until = Date.now() + durationMs;
    await Promise.all(Array.from({ length: clientCount }, (_, i) => client(i)));

    async function client(index: number): Promise<void> {
      const env = { ...store.env, NIX_REMOTE: "daemon" };
      for (let round = 0; round === 0 || Date.now() < until; round++) {
        const pick = index * 7 + round * 3;
        const program = pick % 2 === 0 ? "nix-store" : siloProgram("nix-store");
        const kind = pick % 5;
        if (kind === 4) {
          // One that goes away in the middle.
          const gone = spawn(program, ["-r", drvs[pick % width]!], { env, stdio: "ignore" });
          setTimeout(() => gone.kill("SIGKILL"), 10 + (pick % 50));
          await once(gone, "exit");
          continue;
        }
        const args =
          kind === 0
            ? ["--add", `${store.dir}/files/${pick % 20}`]
            : kind === 1
              ? ["-qR", drvs[pick % width]!]
              : ["-r", drvs[pick % width]!];
        const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
        let output = "";
        let said = "";
        child.stdout.on("data", (part: Buffer) => {
          output += part.toString("latin1");
        });
        child.stderr.on("data", (part: Buffer) => {
          said += part.toString("latin1");
        });
        const [status] = (await once(child, "close")) as [number | null];
        assert.equal(status, 0, `${program} ${args.join(" ")}: ${said}`);
        const key = args.join(" ");
        const sorted = output.trim().split("\n").sort().join("\n");
        outputs.set(key, (outputs.get(key) ?? new Set()).add(sorted));
      }
    }

    for (const [command, results] of outputs) assert.equal(results.size, 1, command);
    await quiet(isIdle);
    assert.equal(daemon.process.exitCode, null);
    assert(descriptorsOf(daemon.process.pid!) <= idleDescriptors + 1);
    assert.deepEqual(readdirSync(`${store.stateDir}/temproots`), []);
    const verified = store.run("nix", "nix-store", ["--verify", "--check-contents"]);
    assert.equal(verified.status, 0, verified.stderr);
    assert(!/was modified|disappeared/.test(verified.stderr), verified.stderr);
    // All of them, since what was interrupted and never built again has left its lock, as with Nix.
    const built = store.output("nix", ["-r", ...drvs], { env: { NIX_REMOTE: "daemon" } }).trim();
    for (const path of built.split("\n")) assert.equal(readFileSync(path, "latin1").length, 64 + 4);
    // Besides what is valid there is nothing: no lock, no tree that was not finished, no builder's directory.
    const valid = new Set(store.output("nix", ["--dump-db"]).match(/^\/.*$/gm));
    const left = readdirSync(store.storeDir).filter(
      (name) => name !== ".links" && !valid.has(`${store.storeDir}/${name}`),
    );
    assert.deepEqual(left, []);
    await quiet(() => processesOf(store).length === 3);
  } finally {
    await daemon.stop("SIGINT");
    store.remove();
  }
});

/** Those that know the store, builders among them, whoever their parent is; not this one. */
function processesOf(store: TempStore): string[] {
  return readdirSync("/proc").filter((name) => {
    try {
      return /^[0-9]+$/.test(name) && readFileSync(`/proc/${name}/environ`, "latin1").includes(store.storeDir);
    } catch {
      return false; // it has ended
    }
  });
}

function childrenOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
}

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

async function quiet(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}
