import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { StorePath } from "../../src/formats/store-path.ts";
import { addText } from "../../src/store/add.ts";
import type { LocalStore } from "../../src/store/local-store.ts";
import { pathInfoPrefetch } from "../../src/store/path-info-prefetch.ts";
import { queryPathInfo } from "../../src/store/queries.ts";
import { addSignatures, invalidatePath } from "../../src/store/register.ts";
import { withStoreFixture } from "../support/store-fixture.ts";

/** Each refers to two before it. */
function chain(store: LocalStore, length: number): StorePath[] {
  const paths: StorePath[] = [];
  for (let i = 0; i < length; i++) {
    const references = [paths[i - 1], paths[Math.floor(i / 2)]].filter((path) => path !== undefined);
    paths.push(addText(store, `p${i}`, Buffer.from(String(i)), [...new Set(references)]));
  }
  return paths;
}

const missing = "00000000000000000000000000000000-missing" as StorePath;

/** Waits until answers from memory are checked again. */
function afterMemory(): void {
  const start = performance.now();
  while (performance.now() - start < 2);
}

test("whatever is asked in whatever order, the answers are those of the database", () =>
  withStoreFixture((fixture) => {
    const store = fixture.open();
    const paths = chain(store, 120);
    const step = fc.oneof(
      fc.record({ kind: fc.constant("query" as const), at: fc.nat({ max: paths.length }) }),
      fc.record({ kind: fc.constant("walk" as const), at: fc.nat({ max: paths.length - 1 }) }),
      fc.record({ kind: fc.constant("list" as const), at: fc.nat({ max: paths.length - 1 }) }),
      fc.record({ kind: fc.constant("forget" as const), at: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const infos = pathInfoPrefetch(store);
        const check = (path: StorePath) => assert.deepEqual(infos.query(path), queryPathInfo(store, path));
        for (const { kind, at } of steps) {
          if (kind === "query") check(paths[at] ?? missing);
          else if (kind === "forget") infos.forget();
          else if (kind === "list") {
            infos.announce([...paths.slice(at), missing]);
            for (const path of paths.slice(at, at + 50)) check(path);
            check(missing);
          } else {
            const seen = new Set([paths[at]!]);
            for (const path of seen) {
              check(path);
              for (const reference of infos.query(path)!.references) seen.add(reference);
            }
          }
        }
      }),
      { numRuns: 60 },
    );
  }));

test("what others write is seen, and what is not valid any more is gone", () =>
  withStoreFixture((fixture) => {
    const store = fixture.open();
    const other = fixture.open();
    const paths = chain(store, 40);
    const infos = pathInfoPrefetch(store);
    const [top, below] = [paths.at(-1)!, paths.at(-2)!];
    infos.query(top);
    assert.deepEqual(infos.query(below)?.signatures, []);
    addSignatures(other, below, ["k:c2ln"]);
    afterMemory();
    assert.deepEqual(infos.query(below)?.signatures, ["k:c2ln"]);
    invalidatePath(other, top);
    afterMemory();
    assert.equal(infos.query(top), undefined);
    const again = addText(other, "new", Buffer.from("new"), []);
    afterMemory();
    assert.equal(infos.query(again)?.path, again);
  }));
