/**
 * Fills a store with a graph that queries have something to say about: derivations with one or several outputs, some of
 * them "built", sources, paths that refer to themselves, diamonds and chains. The same seed gives the same graph.
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import assert from "node:assert/strict";
import { fakePath } from "./fake-paths.ts";
import type { TempStore } from "./temp-store.ts";

export interface GeneratedStore {
  /** Full paths, sorted. */
  readonly valid: readonly string[];
  readonly derivations: readonly string[];
  /** Outputs that are not valid, and a path that nobody knows. */
  readonly invalid: readonly string[];
}

/** Needs stock Nix. The paths have no files, except for derivations. */
export function fillStore(store: TempStore, seed: number, size: number): GeneratedStore {
  const random = randomNumbers(seed);
  const derivations = instantiate(store, random, size);
  const outputs = derivations.map((drv) => store.output("nix", ["-q", "--outputs", drv]).trim().split("\n"));
  const registered: Registration[] = [];
  const invalid = [`${store.storeDir}/${fakePath("nobody-knows-me")}`];
  for (let i = 0; i < size; i++) {
    const path = `${store.storeDir}/${fakePath(`${sourceNames[i % sourceNames.length]}-${seed}-${i}`)}`;
    registered.push({ path, deriver: "", references: pick(random, registered, path) });
  }
  derivations.forEach((deriver, i) => {
    for (const path of outputs[i]!) {
      if (random(4) === 0) invalid.push(path);
      else
        registered.push({ path, deriver: random(5) === 0 ? "" : deriver, references: pick(random, registered, path) });
    }
  });
  store.output("nix", ["--load-db"], { input: registered.map(printRegistration).join("") });
  const valid = store.rows("select path from ValidPaths order by path").map(([path]) => String(path));
  return { valid, derivations, invalid };
}

/** Small whole numbers below a limit, the same for the same seed. */
export function randomNumbers(seed: number): (limit: number) => number {
  let state = seed * 2654435761 + 1;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

const sourceNames = ["source", "foo-bar-1.0", "x", "a_b+c.d?e=f", "lib"];

interface Registration {
  readonly path: string;
  readonly deriver: string;
  readonly references: readonly string[];
}

/** Up to four of those before, and sometimes the path itself. */
function pick(random: (limit: number) => number, from: readonly Registration[], self: string): string[] {
  const references = new Set<string>();
  for (let i = random(5); i > 0 && from.length > 0; i--) references.add(from[random(from.length)]!.path);
  if (random(5) === 0) references.add(self);
  return [...references].sort();
}

function printRegistration({ path, deriver, references }: Registration): string {
  const hash = createHash("sha256").update(path).digest("hex");
  const size = 100 + (Number.parseInt(hash.slice(0, 6), 16) & ~7);
  return [path, hash, size, deriver, references.length, ...references].map((line) => `${line}\n`).join("");
}

function instantiate(store: TempStore, random: (limit: number) => number, count: number): string[] {
  const lines = Array.from({ length: count }, (_, i) => {
    const inputs = i === 0 ? [] : Array.from({ length: random(4) }, () => `d${random(i)}`);
    const outputs = [["out"], ["out"], ["out", "dev"], ["lib", "bin", "out"]][random(4)]!;
    const text = ["plain", "it's", 'two\\nlines and \\"quotes\\"', "$dollar `tick`", "\\ttab \\\\ back", ""][
      random(6)
    ]!;
    return `  d${i} = derivation {
    name = "pkg-${i}"; system = "x86_64-linux"; builder = "/bin/sh"; outputs = [ ${outputs.map((each) => `"${each}"`).join(" ")} ];
    args = [ "-e" "a b" "${text}" ]; text = "${text}"; inputs = [ ${inputs.join(" ")} ];
  };`;
  });
  const names = Array.from({ length: count }, (_, i) => `d${i}`);
  const file = join(store.dir, "generated.nix");
  writeFileSync(file, `let\n${lines.join("\n")}\nin [ ${names.join(" ")} ]\n`);
  const { stdout, stderr, status } = spawnSync("nix-instantiate", [file], { env: store.env });
  assert.equal(status, 0, String(stderr));
  // With several outputs the first is named behind the path.
  const printed = stdout.toString("latin1").trim().split("\n");
  return printed.map((line) => line.replace(/!.*/, ""));
}
