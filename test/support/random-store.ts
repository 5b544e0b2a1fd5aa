/**
 * Stores made up by chance, from a seed: paths, references, derivations and their outputs, written straight into the
 * database, with tiny files; beside them roots of every kind, leftovers and foreign files.
 */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StoreFixture } from "./store-fixture.ts";

export interface Chance {
  /** An integer from 0 to `below - 1`. */
  upTo(below: number): number;
  /** True once in so many times. */
  oneIn(times: number): boolean;
  pick<T>(items: readonly T[]): T;
}

/** Xorshift: the same seed gives the same numbers everywhere. */
export function chanceFrom(seed: number): Chance {
  let state = (Math.imul(seed + 1, 0x9e3779b1) | 1) >>> 0;
  const upTo = (below: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  for (let i = 0; i < 8; i++) upTo(2);
  return { upTo, oneIn: (times) => upTo(times) === 0, pick: (items) => items[upTo(items.length)]! };
}

const base32 = "0123456789abcdfghijklmnpqrsvwxyz";

export function hashPartFrom(chance: Chance): string {
  return Array.from({ length: 32 }, () => base32[chance.upTo(32)]).join("");
}

export interface GeneratedPath {
  /** Base name. */
  readonly name: string;
  readonly references: Set<string>;
  deriver: string | undefined;
  /** Of a derivation: output name to base name. */
  readonly outputs: Map<string, string>;
}

export interface GeneratedStore {
  readonly paths: readonly GeneratedPath[];
}

/** Fills the fixture's store, which this creates. @param size number of derivations and sources, about */
export function generateStore(fixture: StoreFixture, chance: Chance, size: number): GeneratedStore {
  fixture.open().close();
  const paths = inventPaths(chance, size);
  writeDatabase(fixture, paths);
  for (const path of paths) if (!chance.oneIn(40)) writeObject(fixture, chance, path.name);
  return { paths };
}

/** Every path refers to earlier ones only, and perhaps to itself. */
function inventPaths(chance: Chance, size: number): GeneratedPath[] {
  const paths: GeneratedPath[] = [];
  const invent = (name: string): GeneratedPath => {
    const path: GeneratedPath = {
      name: `${hashPartFrom(chance)}-${name}`,
      references: new Set(),
      deriver: undefined,
      outputs: new Map(),
    };
    if (chance.oneIn(5)) path.references.add(path.name);
    const wanted = paths.length === 0 ? 0 : chance.upTo(4);
    for (let i = 0; i < wanted; i++) path.references.add(chance.pick(paths).name);
    return path;
  };
  for (let i = 0; i < size; i++) {
    if (chance.oneIn(3)) {
      paths.push(invent(`source-${i}`));
      continue;
    }
    const drv = invent(`thing-${i}.drv`);
    drv.references.delete(drv.name);
    const outputs = ["out", "dev", "doc"]
      .slice(0, 1 + chance.upTo(3))
      .map((name) => ({ name, path: invent(`thing-${i}-${name}`) }));
    for (const { name, path } of outputs) drv.outputs.set(name, path.name);
    paths.push(drv);
    for (const [j, { path }] of outputs.entries()) {
      if (chance.oneIn(4)) continue; // not built, or collected
      path.deriver = chance.oneIn(6) ? undefined : drv.name;
      for (const earlier of outputs.slice(0, j)) if (chance.oneIn(2)) path.references.add(earlier.path.name);
      paths.push(path);
    }
    if (chance.oneIn(6)) {
      // Another derivation with the same output, as fixed-output derivations have.
      const twin = invent(`twin-${i}.drv`);
      twin.references.delete(twin.name);
      twin.outputs.set("out", outputs[0]!.path.name);
      paths.push(twin);
    }
  }
  const names = new Set(paths.map(({ name }) => name));
  for (const { references } of paths) for (const name of references) if (!names.has(name)) references.delete(name);
  return paths;
}

function writeDatabase(fixture: StoreFixture, paths: readonly GeneratedPath[]): void {
  const full = (name: string) => `'${fixture.storeDir}/${name}'`;
  const ids = new Map(paths.map(({ name }, i) => [name, i * 3 + 7]));
  const statements = ["begin"];
  for (const { name, deriver } of paths) {
    const values = [
      ids.get(name),
      full(name),
      `'sha256:${"0".repeat(64)}'`,
      1,
      deriver === undefined ? "null" : full(deriver),
      120,
    ];
    statements.push(
      `insert into ValidPaths (id, path, hash, registrationTime, deriver, narSize) values (${values.join(", ")})`,
    );
  }
  for (const { name, references } of paths) {
    for (const reference of references)
      statements.push(`insert into Refs values (${ids.get(name)}, ${ids.get(reference)})`);
  }
  for (const { name, outputs } of paths) {
    for (const [output, path] of outputs) {
      statements.push(`insert into DerivationOutputs values (${ids.get(name)}, '${output}', ${full(path)})`);
    }
  }
  statements.push("commit");
  fixture.execute(statements.join(";\n"));
}

export function writeObject(fixture: StoreFixture, chance: Chance, name: string): void {
  const path = join(fixture.storeDir, name);
  switch (name.endsWith(".drv") ? 0 : chance.upTo(3)) {
    case 0:
      writeFileSync(path, name, { mode: 0o444 });
      break;
    case 1:
      symlinkSync("nowhere", path);
      break;
    default:
      mkdirSync(join(path, "bin"), { recursive: true });
      writeFileSync(join(path, "bin", "tool"), name, { mode: 0o555 });
  }
}

/** Roots of every kind that is a file, for valid paths and for others. */
export function generateRoots(fixture: StoreFixture, chance: Chance, { paths }: GeneratedStore): void {
  const state = fixture.directories.stateDir;
  const link = (target: string, ...place: string[]) => {
    const path = join(...place);
    mkdirSync(join(path, ".."), { recursive: true });
    symlinkSync(target, path);
  };
  const count = chance.upTo(5);
  for (let i = 0; i < count; i++) {
    const name = chance.oneIn(8) ? `${hashPartFrom(chance)}-invalid` : chance.pick(paths).name;
    const object = join(fixture.storeDir, name);
    switch (chance.upTo(8)) {
      case 0:
        link(object, state, "gcroots", `direct-${i}`);
        break;
      case 1:
        link(join(object, "bin", "tool"), state, "gcroots", "deeply", "nested", `inside-${i}`);
        break;
      case 2:
        link(object, state, "profiles", `profile-${i}-link`);
        link(`profile-${i}-link`, state, "profiles", `profile-${i}`);
        break;
      case 3:
        link(object, fixture.dir, `result-${i}`);
        link(join(fixture.dir, `result-${i}`), state, "gcroots", "auto", hashPartFrom(chance));
        break;
      case 4:
        link(join(fixture.dir, `gone-${i}`), state, "gcroots", "auto", hashPartFrom(chance));
        break;
      case 5:
        mkdirSync(join(state, "gcroots", "files"), { recursive: true });
        writeFileSync(join(state, "gcroots", "files", name), "");
        break;
      case 6:
        link(object, state, "profiles", "per-user", "somebody", `channels-${i}`);
        break;
      default:
        link(object, fixture.dir, `relative-${i}`);
        link(`../../relative-${i}`, state, "gcroots", `relative-${i}`);
    }
  }
}

/** What lies about in a store and is not valid. */
export function generateLeftovers(fixture: StoreFixture, chance: Chance, { paths }: GeneratedStore): void {
  const place = (name: string) => join(fixture.storeDir, name);
  const file = (name: string) => writeFileSync(place(name), "");
  const directory = (name: string) => {
    mkdirSync(join(place(name), "x"), { recursive: true });
    writeFileSync(join(place(name), "x", "y"), name);
  };
  const count = chance.upTo(6);
  for (let i = 0; i < count; i++) {
    switch (chance.upTo(9)) {
      case 0:
        file(`${chance.pick(paths).name}.lock`);
        break;
      case 1:
        directory(`${chance.pick(paths).name}.chroot`);
        break;
      case 2:
        directory(`${hashPartFrom(chance)}-half-made-${i}`);
        break;
      case 3:
        file(`.hidden-${i}`);
        break;
      case 4:
        directory("trash");
        break;
      case 5:
        file(`foreign file ${i} \u00e9`);
        break;
      case 6:
        directory(`tmp-999999999-${i}`);
        break;
      case 7:
        symlinkSync("/", place(`link-${i}`));
        break;
      default:
        file(`${hashPartFrom(chance)}-file.lock`);
    }
  }
}
