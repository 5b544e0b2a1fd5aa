/** Walks over several kinds of edges at once. */
import { type Edges, reverseEdges } from "./edges.ts";
import { growingStack } from "./mark.ts";
import type { ReferenceGraph } from "./reference-graph.ts";

/** All edges that keep something alive, from the keeper to the kept. */
export function keepingEdges({ references, outputs, derivers }: ReferenceGraph): Edges[] {
  const edges = [references];
  if (outputs !== undefined) edges.push(outputs);
  if (derivers !== undefined) edges.push(singleEdges(derivers));
  return edges;
}

/** The same edges from the kept to the keepers. */
export function keeperEdges(graph: ReferenceGraph): Edges[] {
  return keepingEdges(graph).map(reverseEdges);
}

/** 1 for each node that can be reached from those for which `isStart` is true, themselves included. */
export function reach(count: number, edges: readonly Edges[], isStart: (node: number) => boolean): Uint8Array {
  const reached = new Uint8Array(count);
  const stack = growingStack();
  for (let start = 0; start < count; start++) {
    if (reached[start] === 1 || !isStart(start)) continue;
    reached[start] = 1;
    stack.push(start);
    for (let node = stack.pop(); node >= 0; node = stack.pop()) {
      for (const { starts, targets } of edges) {
        for (let i = starts[node]!; i < starts[node + 1]!; i++) {
          const target = targets[i]!;
          if (reached[target] === 1) continue;
          reached[target] = 1;
          stack.push(target);
        }
      }
    }
  }
  return reached;
}

/** At most one edge a node, -1 for none. */
function singleEdges(targetOf: Int32Array): Edges {
  const starts = new Int32Array(targetOf.length + 1);
  const targets = targetOf.filter((target) => target >= 0);
  targetOf.forEach((target, node) => {
    starts[node + 1] = starts[node]! + (target >= 0 ? 1 : 0);
  });
  return { starts, targets };
}
