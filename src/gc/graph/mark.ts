/**
 * What is alive: everything that can be reached from a root. Beside references, `keep-outputs` leads from a derivation
 * to its outputs, and `keep-derivations` from a path to its deriver; together they go round between a derivation and its
 * outputs.
 */
import type { Edges } from "./edges.ts";
import type { ReferenceGraph } from "./reference-graph.ts";

export interface Marking {
  /** 1 for each path that is alive. */
  readonly live: Uint8Array;
  /** For each path that is alive the one that led to it, itself for a root. Undefined when nobody will ask why. */
  readonly parents: Int32Array | undefined;
}

export function emptyMarking(graph: ReferenceGraph, reasons: "with-parents" | "without-parents"): Marking {
  return {
    live: new Uint8Array(graph.count),
    parents: reasons === "with-parents" ? new Int32Array(graph.count).fill(-1) : undefined,
  };
}

/** Marks what can be reached from these paths, on top of what is marked already. */
export function markFrom(graph: ReferenceGraph, { live, parents }: Marking, starts: Iterable<number>): void {
  const { references, outputs, derivers } = graph;
  const stack = growingStack();
  const visit = (path: number, parent: number) => {
    if (live[path] === 1) return;
    live[path] = 1;
    if (parents !== undefined) parents[path] = parent;
    stack.push(path);
  };
  const visitAll = (edges: Edges, path: number) => {
    const { starts, targets } = edges;
    const end = starts[path + 1]!;
    for (let i = starts[path]!; i < end; i++) visit(targets[i]!, path);
  };
  for (const start of starts) {
    visit(start, start);
    for (let path = stack.pop(); path >= 0; path = stack.pop()) {
      visitAll(references, path);
      if (outputs !== undefined) visitAll(outputs, path);
      if (derivers !== undefined && derivers[path]! >= 0) visit(derivers[path]!, path);
    }
  }
}

/** From the root to the path that it keeps alive, both included; the path must be marked, with parents. */
export function chainToRoot({ parents }: Marking, path: number): number[] {
  const chain = [path];
  for (let at = path; parents![at]! !== at; at = parents![at]!) chain.unshift(parents![at]!);
  return chain;
}

interface IntStack {
  push(value: number): void;
  /** -1 when empty. */
  pop(): number;
}

export function growingStack(): IntStack {
  let values = new Int32Array(1024);
  let size = 0;
  return {
    push(value) {
      if (size === values.length) {
        const larger = new Int32Array(size * 2);
        larger.set(values);
        values = larger;
      }
      values[size++] = value;
    },
    pop: () => (size === 0 ? -1 : values[--size]!),
  };
}
