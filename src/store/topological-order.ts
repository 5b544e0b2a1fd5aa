/** Depth-first topological order without recursion, in the order that Nix's own sort gives. */
import { SiloError } from "../error.ts";

export class CyclicReferences extends SiloError {
  readonly code = "cyclic-references";
  /** @param cycle the nodes on the cycle, the first one again at the end */
  constructor(readonly cycle: readonly string[]) {
    super(`cycle detected in the references of '${cycle[0]}': ${cycle.map((node) => `'${node}'`).join(" -> ")}`);
  }
}

/**
 * Nodes 0 to n-1, every node behind those it refers to; nodes are visited in ascending order and their references in
 * the order given. A node's reference to itself is no cycle.
 * @param show a node's name for the error
 * @throws CyclicReferences
 */
export function topologicalOrder(
  references: readonly (readonly number[])[],
  show: (node: number) => string = String,
): number[] {
  const order: number[] = [];
  // 0 not seen, 1 on the stack, 2 done
  const state = new Uint8Array(references.length);
  const stack: { node: number; next: number }[] = [];
  for (let start = 0; start < references.length; start++) {
    if (state[start] !== 0) continue;
    stack.push({ node: start, next: 0 });
    state[start] = 1;
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const reference = references[top.node]![top.next++];
      if (reference === undefined) {
        state[top.node] = 2;
        order.push(top.node);
        stack.pop();
      } else if (reference !== top.node && state[reference] === 0) {
        state[reference] = 1;
        stack.push({ node: reference, next: 0 });
      } else if (reference !== top.node && state[reference] === 1) {
        const from = stack.findIndex(({ node }) => node === reference);
        throw new CyclicReferences([...stack.slice(from).map(({ node }) => show(node)), show(reference)]);
      }
    }
  }
  return order;
}
