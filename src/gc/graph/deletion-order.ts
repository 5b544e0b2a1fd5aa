/**
 * The order in which garbage is deleted: a path before what it refers to, so that at every moment the references of
 * what is valid are valid; and the newest first as far as that allows, since old garbage has shown that it may be wanted
 * again longer.
 */
import type { ReferenceGraph } from "./reference-graph.ts";

/** The paths that are 0 in `live`, in that order. Cycles, which no store should have, come out in some order. */
export function deletionOrder({ count, references }: ReferenceGraph, live: Uint8Array): Int32Array {
  const { starts, targets } = references;
  let dead = 0;
  for (let i = 0; i < count; i++) if (live[i] === 0) dead++;
  const order = new Int32Array(dead);
  // Depth first from the oldest, references first; then read backwards.
  let position = dead;
  const seen = new Uint8Array(count);
  const path = new Int32Array(dead);
  const next = new Int32Array(dead);
  for (let start = 0; start < count; start++) {
    if (live[start] !== 0 || seen[start] !== 0) continue;
    let depth = 0;
    path[0] = start;
    next[0] = starts[start]!;
    seen[start] = 1;
    while (depth >= 0) {
      const at = path[depth]!;
      if (next[depth]! === starts[at + 1]!) {
        order[--position] = at;
        depth--;
        continue;
      }
      const target = targets[next[depth]!++]!;
      if (live[target] !== 0 || seen[target] !== 0) continue;
      seen[target] = 1;
      depth++;
      path[depth] = target;
      next[depth] = starts[target]!;
    }
  }
  return order;
}
