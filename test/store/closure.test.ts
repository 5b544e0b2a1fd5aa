/** Closures and topological order: against a naive model on random graphs, and against the order of stock Nix. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { StorePath } from "../../src/formats/store-path.ts";
import {
  type ClosureDirection,
  type ClosureEdges,
  computeClosure,
  computeSortedClosure,
  sortTopologically,
} from "../../src/store/closure.ts";
import type { LocalStore } from "../../src/store/local-store.ts";
import { InvalidPath } from "../../src/store/path-info.ts";
import { registerValidPaths } from "../../src/store/register.ts";
import { CyclicReferences, topologicalOrder } from "../../src/store/topological-order.ts";
import { fakeInfo, fakePath } from "../support/fake-paths.ts";
import { withStoreFixture } from "../support/store-fixture.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

/** A graph of nodes 0 to n-1: each refers to smaller ones, perhaps to itself, and has perhaps a deriver and outputs. */
interface Graph {
  readonly nodes: readonly {
    readonly references: readonly number[];
    readonly deriver: number | undefined;
    readonly outputs: readonly number[];
    readonly isValid: boolean;
  }[];
}

const arbitraryGraph: fc.Arbitrary<Graph> = fc.integer({ min: 1, max: 14 }).chain((size) => {
  const node = fc.nat(size - 1);
  return fc
    .tuple(
      ...Array.from({ length: size }, (_, i) =>
        fc.record({
          references: fc.uniqueArray(fc.nat(i), { maxLength: 4 }),
          deriver: fc.option(node, { nil: undefined }),
          outputs: fc.uniqueArray(node, { maxLength: 2 }),
          isValid: fc.constant(true),
        }),
      ),
    )
    .map((nodes) => ({ nodes }));
});

let graphs = 0;

/** Registers a graph under names of its own; outputs are put in behind the store's back, as there are no files. */
function registerGraph(store: LocalStore, { nodes }: Graph): StorePath[] {
  const id = graphs++;
  const paths = nodes.map(({ outputs }, i) => fakePath(`g${id}-${i}${outputs.length > 0 ? ".drv" : ""}`));
  const full = (path: StorePath) => `${store.storeDir}/${path}`;
  store.db.transaction(() => {
    const insert = store.db.statement(
      "insert into ValidPaths (path, hash, registrationTime, deriver) values (?, ?, 1, ?) returning id",
    );
    const ids = nodes.map(({ deriver }, i) =>
      Number(
        insert.row(
          full(paths[i]!),
          `sha256:${"0".repeat(64)}`,
          deriver === undefined ? null : full(paths[deriver]!),
        )![0],
      ),
    );
    nodes.forEach(({ references, outputs }, i) => {
      for (const reference of references)
        store.db.statement("insert into Refs values (?, ?)").run(ids[i]!, ids[reference]!);
      outputs.forEach((output, number) => {
        const insertOutput = store.db.statement("insert into DerivationOutputs values (?, ?, ?)");
        insertOutput.run(ids[i]!, `o${number}`, full(paths[output]!));
      });
    });
  });
  return paths;
}

/** As the definition says, one node after the other. */
function naiveClosure({ nodes }: Graph, starts: readonly number[], direction: ClosureDirection, edges: ClosureEdges) {
  const forwards = (from: number, to: number) => {
    const node = nodes[from]!;
    if (node.references.includes(to)) return true;
    if (edges.outputs && node.outputs.includes(to)) return true;
    return edges.derivers === true && node.deriver === to;
  };
  const backwards = (from: number, to: number) => {
    if (nodes[to]!.references.includes(from)) return true;
    if (edges.outputs && nodes[to]!.outputs.includes(from)) return true;
    return edges.derivers === true && nodes[from]!.outputs.includes(to) && nodes[to]!.deriver === from;
  };
  const leadsTo = direction === "references" ? forwards : backwards;
  const reached = new Set(starts);
  for (const from of reached) nodes.forEach((_, to) => void (leadsTo(from, to) && reached.add(to)));
  return reached;
}

describe("closures", () => {
  test("agree with the definition, in both directions and with every kind of edge", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      fc.assert(
        fc.property(
          arbitraryGraph.chain((graph) =>
            fc.tuple(fc.constant(graph), fc.uniqueArray(fc.nat(graph.nodes.length - 1), { maxLength: 3 })),
          ),
          ([graph, starts]) => {
            const paths = registerGraph(store, graph);
            const from = starts.map((start) => paths[start]!);
            for (const direction of ["references", "referrers"] as const) {
              for (const outputs of [false, true]) {
                for (const derivers of [false, true]) {
                  const expected = [...naiveClosure(graph, starts, direction, { outputs, derivers })]
                    .map((node) => paths[node]!)
                    .sort();
                  assert.deepEqual(computeClosure(store, from, direction, { outputs, derivers }), expected);
                  const sorted = computeSortedClosure(store, from, direction, { outputs, derivers });
                  assert.deepEqual([...sorted].sort(), expected);
                  checkOrder(graph, paths, sorted);
                }
              }
            }
          },
        ),
        { numRuns: 150 },
      );
    });
  });

  test("of nothing is empty; a start that is not valid is an error", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const a = fakePath("a");
      registerValidPaths(store, [fakeInfo(a)]);
      assert.deepEqual(computeClosure(store, []), []);
      assert.throws(
        () => computeClosure(store, [a, fakePath("absent")]),
        (error) => error instanceof InvalidPath && error.path === `${fixture.storeDir}/${fakePath("absent")}`,
      );
    });
  });

  test("of a chain of 20,000 paths need no stack", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const chain = Array.from({ length: 20_000 }, (_, i) => fakePath(`c${i}`));
      registerValidPaths(
        store,
        chain.map((path, i) => fakeInfo(path, i === 0 ? [] : [chain[i - 1]!])),
      );
      assert.deepEqual(computeSortedClosure(store, [chain[chain.length - 1]!]), chain);
      assert.equal(computeClosure(store, [chain[0]!], "referrers").length, chain.length);
    });
  });
});

function checkOrder({ nodes }: Graph, paths: readonly StorePath[], sorted: readonly StorePath[]): void {
  const position = new Map(sorted.map((path, i) => [path, i]));
  nodes.forEach(({ references }, i) => {
    for (const reference of references) {
      const from = position.get(paths[i]!);
      const to = position.get(paths[reference]!);
      if (from !== undefined && to !== undefined && i !== reference) assert(to < from);
    }
  });
}

describe("topological order", () => {
  test("is that of nix-store -q --requisites and --referrers-closure", { skip: skipWithoutNix }, () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      fc.assert(
        fc.property(arbitraryGraph, ({ nodes }) => {
          const graph = { nodes: nodes.map((node) => ({ ...node, outputs: [], deriver: undefined })) };
          const paths = registerGraph(store, graph);
          const starts = [paths[paths.length - 1]!, paths[0]!];
          const printed = (direction: string) =>
            String(fixture.nix(["-q", direction, ...starts.map((path) => `${fixture.storeDir}/${path}`)]))
              .trim()
              .split("\n")
              .map((path) => path.slice(fixture.storeDir.length + 1));
          assert.deepEqual(computeSortedClosure(store, starts), printed("--requisites"));
          assert.deepEqual(computeSortedClosure(store, starts, "referrers"), printed("--referrers-closure"));
        }),
        { numRuns: 25 },
      );
    });
  });

  test("puts paths that are not valid anywhere, once", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const [a, b, absent] = [fakePath("a"), fakePath("b"), fakePath("absent")];
      registerValidPaths(store, [fakeInfo(a), fakeInfo(b, [a])]);
      const sorted = sortTopologically(store, [b, absent, a, b]);
      assert.deepEqual([...sorted].sort(), [a, b, absent].sort());
      assert(sorted.indexOf(a) < sorted.indexOf(b));
    });
  });

  test("names the cycle that makes it impossible", () => {
    assert.throws(
      () => topologicalOrder([[], [2, 0], [3], [1]], (node) => `n${node}`),
      (error) =>
        error instanceof CyclicReferences &&
        error.message === "cycle detected in the references of 'n1': 'n1' -> 'n2' -> 'n3' -> 'n1'",
    );
    assert.deepEqual(topologicalOrder([[0, 1], [1]]), [1, 0]);
  });
});
