import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { deletionOrder } from "../../src/gc/graph/deletion-order.ts";
import { type Edges, edgeList, reverseEdges } from "../../src/gc/graph/edges.ts";
import { chainToRoot, emptyMarking, markFrom } from "../../src/gc/graph/mark.ts";
import { nameTable } from "../../src/gc/graph/name-table.ts";
import { sortByName } from "../../src/gc/graph/name-order.ts";
import { reach } from "../../src/gc/graph/reach.ts";
import { loadReferenceGraph, type ReferenceGraph } from "../../src/gc/graph/reference-graph.ts";
import { numberReader, textBlock } from "../../src/gc/graph/row-block.ts";
import { rowIndex } from "../../src/gc/graph/row-index.ts";
import { BadDatabaseRow, queryAllPathInfos, queryDerivationOutputs } from "../../src/store/queries.ts";
import { chanceFrom, generateStore } from "../support/random-store.ts";
import { withStoreFixture } from "../support/store-fixture.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));

describe("blocks of rows", () => {
  test("numbers come out as they went in, whatever is between them", () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeNat()), fc.constantFrom(" ", ",", "\n"), (numbers, separator) => {
        const expected = Float64Array.from(numbers);
        assert.deepEqual(numberReader()(bytes(numbers.join(separator)), numbers.length), expected);
        assert.deepEqual(numberReader()(bytes(JSON.stringify(numbers)), numbers.length), expected);
      }),
    );
  });

  test("too many and too few are refused", () => {
    assert.throws(() => numberReader()(bytes("1 2 3"), 2), BadDatabaseRow);
    assert.throws(() => numberReader()(bytes("1"), 2), BadDatabaseRow);
    assert.throws(() => textBlock(bytes("a,b"), 1), BadDatabaseRow);
    assert.throws(() => textBlock("text", 1), BadDatabaseRow);
  });
});

describe("the table of names", () => {
  test("finds every name, and no other", () => {
    const name = fc.string({ unit: fc.constantFrom("a", "b", "-", "0"), minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(fc.uniqueArray(name, { maxLength: 200 }), fc.array(name), fc.nat(200), (names, others, split) => {
        const table = nameTable(names.length);
        for (const part of [names.slice(0, split), names.slice(split)]) {
          table.add(
            textBlock(part.length === 0 ? null : bytes(part.map((each) => `pre${each}`).join(",")), part.length),
            3,
          );
        }
        names.forEach((each, i) => {
          assert.equal(table.findName(each), i);
          assert.equal(table.name(i), each);
        });
        for (const other of others) assert.equal(table.findName(other), names.indexOf(other));
      }),
    );
  });

  test("is not slow for names that are alike", () => {
    const count = 50_000;
    const names = Array.from({ length: count }, (_, i) => `${"0".repeat(32)}-${String(i).padStart(100, "0")}`);
    const table = nameTable(count);
    table.add(textBlock(bytes(names.join(",")), count), 0);
    assert.equal(table.findName(names[count - 1]!), count - 1);
  });
});

describe("the order of names", () => {
  const nameOf = fc.oneof(
    fc.string({ unit: fc.constantFrom("0", "1", "z"), minLength: 1, maxLength: 9 }),
    fc.string({ unit: "binary", minLength: 1, maxLength: 8 }).map((text) => text.replace(/[^\x01-\xff]|,/g, "e")),
  );

  test("is that of their bytes", () => {
    fc.assert(
      fc.property(fc.uniqueArray(nameOf, { maxLength: 100 }), (names) => {
        const table = nameTable(names.length);
        table.add(textBlock(names.length === 0 ? null : bytes(names.join(",")), names.length), 0);
        const numbers = Int32Array.from(names, (_, i) => i);
        sortByName(table, numbers);
        assert.deepEqual(
          Array.from(numbers, (number) => names[number]!),
          [...names].sort(),
        );
      }),
    );
  });
});

test("ids far apart and close together find their position", () => {
  const gaps = fc.array(fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 2 ** 40 })), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(gaps, fc.array(fc.maxSafeNat()), (steps, others) => {
      let id = 0;
      const ids = Float64Array.from(steps, (step) => (id += step));
      const indexOf = rowIndex(ids);
      ids.forEach((each, i) => {
        assert.equal(indexOf(each), i);
        assert.equal(indexOf(each + 0.5), -1);
      });
      for (const other of [0, ...others, id + 1]) assert.equal(indexOf(other), ids.indexOf(other));
    }),
  );
});

/** A graph of `count` nodes with edges to lower and higher numbers, without self-references. */
const edgePairs = fc.integer({ min: 1, max: 30 }).chain((count) =>
  fc.record({
    count: fc.constant(count),
    references: fc.array(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), { maxLength: 80 }),
    outputs: fc.array(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), { maxLength: 10 }),
    derivers: fc.array(fc.integer({ min: -1, max: count - 1 }), { minLength: count, maxLength: count }),
    roots: fc.array(fc.nat(count - 1), { maxLength: 3 }),
    late: fc.array(fc.nat(count - 1), { maxLength: 2 }),
  }),
);

function edgesOf(count: number, pairs: readonly (readonly [number, number])[]): Edges {
  const list = edgeList(count);
  for (const [from, to] of [...pairs].sort(([a], [b]) => a - b)) if (from !== to) list.add(from, to);
  return list.finish();
}

function graphOf(count: number, parts: Partial<ReferenceGraph>): ReferenceGraph {
  return {
    count,
    names: nameTable(0),
    ids: new Float64Array(count),
    references: edgesOf(count, []),
    derivers: undefined,
    outputs: undefined,
    narSizes: undefined,
    ...parts,
  };
}

describe("marking", () => {
  test("marks what can be reached, roots that come late too, and knows why", () => {
    fc.assert(
      fc.property(edgePairs, ({ count, references, outputs, derivers, roots, late }) => {
        const graph = graphOf(count, {
          references: edgesOf(count, references),
          outputs: edgesOf(count, outputs),
          derivers: Int32Array.from(derivers),
        });
        const marking = emptyMarking(graph, "with-parents");
        markFrom(graph, marking, roots);
        markFrom(graph, marking, late);
        const edges = [...references, ...outputs, ...derivers.map((to, from) => [from, to] as const)];
        const expected = new Set([...roots, ...late]);
        for (let size = -1; size !== expected.size; ) {
          size = expected.size;
          for (const [from, to] of edges) if (expected.has(from) && to >= 0) expected.add(to);
        }
        for (let node = 0; node < count; node++) {
          assert.equal(marking.live[node], expected.has(node) ? 1 : 0);
          if (!expected.has(node)) continue;
          const chain = chainToRoot(marking, node);
          assert([...roots, ...late].includes(chain[0]!));
          assert.equal(chain.at(-1), node);
          for (let i = 1; i < chain.length; i++) {
            assert(edges.some(([from, to]) => from === chain[i - 1] && to === chain[i]));
          }
        }
      }),
    );
  });

  test("backwards is forwards the other way round", () => {
    fc.assert(
      fc.property(edgePairs, ({ count, references }) => {
        const edges = edgesOf(count, references);
        const back = reverseEdges(edges);
        for (let a = 0; a < count; a++) {
          const from = reach(count, [edges], (node) => node === a);
          for (let b = 0; b < count; b++) {
            assert.equal(from[b], reach(count, [back], (node) => node === b)[a]);
          }
        }
      }),
      { numRuns: 20 },
    );
  });
});

test("the order of deletion has each dead path once, before what it refers to, the newest first where that is free", () => {
  fc.assert(
    fc.property(edgePairs, ({ count, references, roots }) => {
      const downwards = references.filter(([from, to]) => to < from);
      const graph = graphOf(count, { references: edgesOf(count, downwards) });
      const marking = emptyMarking(graph, "without-parents");
      markFrom(graph, marking, roots);
      const order = [...deletionOrder(graph, marking.live)];
      const dead = [...marking.live.keys()].filter((node) => marking.live[node] === 0);
      assert.deepEqual(
        [...order].sort((a, b) => a - b),
        dead,
      );
      for (const [from, to] of downwards) {
        if (order.includes(from) && order.includes(to)) assert(order.indexOf(from) < order.indexOf(to));
      }
      if (downwards.length === 0) assert.deepEqual(order, dead.reverse());
    }),
  );
  // Cycles, which no store has, come out whole.
  const cycle = graphOf(3, {
    references: edgesOf(3, [
      [0, 1],
      [1, 2],
      [2, 0],
    ]),
  });
  assert.deepEqual([...deletionOrder(cycle, new Uint8Array(3))].sort(), [0, 1, 2]);
});

describe("loading the graph", () => {
  test("gives what the store's queries give", () =>
    withStoreFixture((fixture) => {
      generateStore(fixture, chanceFrom(5), 200);
      const store = fixture.open();
      const infos = queryAllPathInfos(store);
      let pauses = 0;
      const parts = { derivers: "load", outputs: "load", narSizes: "load" } as const;
      const graph = loadReferenceGraph(store, parts, () => pauses++);
      assert(pauses > 0);
      assert.equal(graph.count, infos.size);
      const targets = ({ starts, targets: all }: Edges, i: number) =>
        [...all.subarray(starts[i], starts[i + 1])].map((each) => graph.names.name(each)).sort();
      for (let i = 0; i < graph.count; i++) {
        const info = infos.get(graph.names.name(i) as never)!;
        assert.deepEqual(
          targets(graph.references, i),
          info.references.filter((each) => each !== info.path),
        );
        const valid = [...queryDerivationOutputs(store, info.path).values()].filter((path) => infos.has(path)).sort();
        assert.deepEqual(targets(graph.outputs!, i), valid);
        assert.equal(graph.narSizes![i], info.narSize);
        const deriver = graph.derivers![i]!;
        assert.equal(deriver < 0 ? undefined : graph.names.name(deriver), info.deriver);
      }
    }));

  test("works with ids far apart, and without any path", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const load = () => loadReferenceGraph(store, { derivers: "load", outputs: "load", narSizes: "load" }, () => {});
      assert.equal(load().count, 0);
      const row = (id: number, letter: string) =>
        `insert into ValidPaths (id, path, hash, registrationTime) values (${id}, '${fixture.storeDir}/${letter.repeat(32)}-x', '', 1);`;
      const far = 2 ** 40;
      fixture.execute(
        `${row(3, "a")}${row(far, "b")}${row(far + 1, "c")}insert into Refs values (${far + 1}, 3), (3, ${far}), (3, 3)`,
      );
      const { references, ids } = load();
      assert.deepEqual([...ids], [3, far, far + 1]);
      assert.deepEqual([...references.starts], [0, 1, 1, 2]);
      assert.deepEqual([...references.targets], [1, 0]);
    }));

  test("refuses a path that is not in the store", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      fixture.execute("insert into ValidPaths (path, hash, registrationTime) values ('/elsewhere/x', '', 1)");
      const parts = { derivers: "skip", outputs: "skip", narSizes: "skip" } as const;
      assert.throws(() => loadReferenceGraph(store, parts, () => {}), BadDatabaseRow);
    }));
});
