/** What evaluations write into stores: all that something needs, and nothing that is there. */
import assert from "node:assert/strict";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseStoreDir, type StorePath } from "../../src/formats/store-path.ts";
import { createApi } from "../../src/recipe/api.ts";
import { createEvaluation, type Evaluation } from "../../src/recipe/evaluation.ts";
import { instantiate, SourceChanged, SourceMissing } from "../../src/recipe/instantiate.ts";
import type { DerivationFields } from "../../src/recipe/silo.d.ts";
import type { Store } from "../../src/store/store.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "silo-instantiate-")));
after(() => rmSync(root, { recursive: true, force: true }));
const storeDir = parseStoreDir("/nix/store");

/** Remembers what is asked of it; knows what was added. */
function recordingStore() {
  const calls: string[] = [];
  const valid = new Set<string>();
  const add = (kind: string, path: StorePath) => {
    calls.push(`${kind} ${path.slice(33)}`);
    valid.add(path);
    return path;
  };
  return { calls, valid, add };
}

function storeFor(evaluation: Evaluation, { calls, valid, add }: ReturnType<typeof recordingStore>): Store {
  const byName = (name: string) =>
    [...evaluation.derivations.keys(), ...evaluation.sources.keys()].find((path) => path.slice(33) === name)!;
  const store: Partial<Store> = {
    storeDir,
    addTempRoots: (paths) => void calls.push(`roots ${paths.length}`),
    queryValidPaths: (paths) => new Set([...paths].filter((path) => valid.has(path))),
    addText: (name, _contents, references) => {
      for (const reference of references) assert.ok(valid.has(reference), `${name} before ${reference}`);
      return add("text", byName(name));
    },
    addPath: (_source, { name }) => add("tree", byName(name)),
  };
  return store as Store;
}

function drvPath(derivation: DerivationFields): StorePath {
  return derivation.drvPath.slice(storeDir.length + 1) as StorePath;
}

test("all that is needed, each after what it refers to, and the second time nothing", () => {
  const evaluation = createEvaluation(storeDir, "x86_64-linux");
  const silo = createApi(evaluation, join(root, "silo.ts"));
  writeFileSync(join(root, "file"), "contents");
  const a = silo.derivation({ name: "a", builder: "b", env: { t: silo.text("t", `${silo.text("u", "")}`) } });
  const b = silo.derivation({ name: "b", builder: `${a}`, env: { src: silo.path("file") } });
  silo.derivation({ name: "not-needed", builder: `${b}` });
  const recording = recordingStore();
  const store = storeFor(evaluation, recording);
  instantiate(store, evaluation, [drvPath(b)]);
  assert.deepEqual(recording.calls.slice(0, 2), ["roots 1", "roots 5"]);
  assert.deepEqual(recording.calls.slice(2).sort(), ["text a.drv", "text b.drv", "text t", "text u", "tree file"]);
  recording.calls.length = 0;
  instantiate(store, evaluation, [drvPath(b)]);
  assert.deepEqual(recording.calls, ["roots 1"]);
  instantiate(store, evaluation, []);
  assert.deepEqual(recording.calls, ["roots 1"]);
});

test("long chains", () => {
  const evaluation = createEvaluation(storeDir, "x86_64-linux");
  const silo = createApi(evaluation, "");
  let last = silo.derivation({ name: "d0", builder: "b" });
  for (let i = 1; i < 5000; i++) last = silo.derivation({ name: `d${i}`, builder: `${last}` });
  const recording = recordingStore();
  instantiate(storeFor(evaluation, recording), evaluation, [drvPath(last)]);
  assert.equal(recording.valid.size, 5000);
});

test("a tree that changes meanwhile, and a path that is not there", () => {
  const evaluation = createEvaluation(storeDir, "x86_64-linux");
  const silo = createApi(evaluation, join(root, "silo.ts"));
  writeFileSync(join(root, "changing"), "first");
  const changing = silo.derivation({ name: "c", builder: "b", env: { src: silo.path("changing") } });
  const other = `${"0".repeat(32)}-changing` as StorePath;
  const store = { ...storeFor(evaluation, recordingStore()), addPath: () => other };
  assert.throws(() => instantiate(store, evaluation, [drvPath(changing)]), SourceChanged);
  const missing = silo.derivation({ name: "m", builder: silo.storePath(`${storeDir}/${"0".repeat(32)}-gone`) });
  assert.throws(() => instantiate(store, evaluation, [drvPath(missing)]), SourceMissing);
});
