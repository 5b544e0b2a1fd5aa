/** The closure of some paths in memory, for queries that draw it. */
import { printStorePath, type StorePath } from "../../../formats/store-path.ts";
import { InvalidPath, type PathInfo } from "../../../store/path-info.ts";
import type { Store } from "../../../store/store.ts";

/** The info of a path in the graph. @throws InvalidPath */
export type InfoOf = (path: StorePath) => PathInfo;

/** The graph of what can be reached from those of `starts` that are valid. */
export function loadGraph(store: Store, starts: readonly StorePath[]): InfoOf {
  const infos = store.queryPathInfos(store.computeClosure(store.queryValidPaths(starts)));
  return (path) => {
    const info = infos.get(path);
    if (info === undefined) throw new InvalidPath(printStorePath(store.storeDir, path));
    return info;
  };
}

/**
 * Visits every path that can be reached once, always the smallest of those that have been seen and not visited.
 * @param visit returns the paths that are seen with this one
 */
export function visitSmallestFirst(starts: Iterable<StorePath>, visit: (path: StorePath) => Iterable<StorePath>): void {
  const seen = new Set<StorePath>();
  const heap: StorePath[] = [];
  const see = (path: StorePath) => {
    if (seen.has(path)) return;
    seen.add(path);
    push(heap, path);
  };
  for (const path of starts) see(path);
  for (let path = pop(heap); path !== undefined; path = pop(heap)) for (const next of visit(path)) see(next);
}

/** A binary heap, the smallest in front. */
function push(heap: StorePath[], path: StorePath): void {
  let at = heap.length;
  heap.push(path);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (heap[parent]! <= path) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = path;
}

function pop(heap: StorePath[]): StorePath | undefined {
  const smallest = heap[0];
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return smallest;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
    if (last <= heap[child]!) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
  return smallest;
}
