/** Edges between numbered nodes in two arrays (compressed sparse rows). */

/** Those of node `i` are `targets[starts[i]]` to `targets[starts[i + 1] - 1]`. */
export interface Edges {
  readonly starts: Int32Array;
  readonly targets: Int32Array;
}

export interface EdgeList {
  /** Edges come in ascending order of `from`. */
  add(from: number, to: number): void;
  finish(): Edges;
}

/** The kernel gives memory when it is touched: room for many edges costs nothing. */
const usualDegree = 16;

export function edgeList(nodes: number): EdgeList {
  const starts = new Int32Array(nodes + 1);
  let targets = new Int32Array(nodes * usualDegree + 16);
  let size = 0;
  let current = 0;
  return {
    add(from, to) {
      if (from < current) throw new Error(`edges are not sorted: ${from} after ${current}`);
      while (current < from) starts[++current] = size;
      if (size === targets.length) {
        const larger = new Int32Array(Math.ceil(size * 1.4));
        larger.set(targets);
        targets = larger;
      }
      targets[size++] = to;
    },
    finish() {
      while (current < nodes) starts[++current] = size;
      return { starts, targets: targets.subarray(0, size) };
    },
  };
}

/** The same edges the other way round. */
export function reverseEdges({ starts, targets }: Edges): Edges {
  const nodes = starts.length - 1;
  const reversedStarts = new Int32Array(nodes + 1);
  for (let i = 0; i < targets.length; i++) reversedStarts[targets[i]! + 1]!++;
  for (let i = 0; i < nodes; i++) reversedStarts[i + 1]! += reversedStarts[i]!;
  const next = reversedStarts.slice();
  const reversedTargets = new Int32Array(targets.length);
  for (let from = 0; from < nodes; from++) {
    for (let i = starts[from]!; i < starts[from + 1]!; i++) reversedTargets[next[targets[i]!]!++] = from;
  }
  return { starts: reversedStarts, targets: reversedTargets };
}
