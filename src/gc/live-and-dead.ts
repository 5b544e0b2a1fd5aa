/** The sets that `--print-live` and `--print-dead` print, as Nix has them. */
import { close, O_DIRECTORY, O_RDONLY, open } from "../sys/descriptor.ts";
import type { PathList } from "../store/collect-service.ts";
import { collectEvery } from "../sys/memory.ts";
import type { Collection } from "./collection.ts";
import { sortByName } from "./graph/name-order.ts";
import type { NameTable } from "./graph/name-table.ts";
import { keeperEdges, keepingEdges, reach } from "./graph/reach.ts";
import { isInUse, readStoreEntries, type StoreEntries } from "./store-entries.ts";

/** Sorted; names that are no store paths among the dead. */
export function printableSet(collection: Collection, which: "live" | "dead"): PathList {
  const { store, graph, marking } = collection;
  const entries = readStoreEntries(store.realStoreDir, graph.names, graph.count, collection.pause);
  collection.pause();
  const wanted = which === "live" ? 1 : 0;
  const numbers = new Int32Array(graph.count);
  let found = 0;
  const missing = missingPaths(collection, entries, wanted);
  for (let i = 0; i < graph.count; i++) {
    if (marking.live[i] === wanted && (entries.present[i] === 1 || missing(i))) numbers[found++] = i;
  }
  const storeFd = open(store.realStoreDir, O_RDONLY | O_DIRECTORY);
  try {
    const leftovers = entries.leftovers.filter(
      (name) => isInUse(storeFd, name, collection.isTempRoot) === (which === "live"),
    );
    const sorted = numbers.subarray(0, found);
    sortByName(graph.names, sorted);
    return merged(store.storeDir, graph.names, sorted, leftovers);
  } finally {
    close(storeFd);
  }
}

const tidyEveryPaths = 100_000;

function merged(storeDir: string, names: NameTable, valid: Int32Array, leftovers: readonly string[]): PathList {
  return {
    length: valid.length + leftovers.length,
    *[Symbol.iterator]() {
      const tidy = collectEvery(tidyEveryPaths);
      let next = 0;
      for (const number of valid) {
        const name = names.name(number);
        while (next < leftovers.length && leftovers[next]! < name) yield `${storeDir}/${leftovers[next++]}`;
        yield `${storeDir}/${name}`;
        tidy();
      }
      while (next < leftovers.length) yield `${storeDir}/${leftovers[next++]}`;
    },
  };
}

/**
 * Valid paths whose files are missing: Nix, which goes through the files, comes upon those that are connected with one
 * that is there.
 */
function missingPaths(
  { graph, marking }: Collection,
  { present }: StoreEntries,
  wanted: number,
): (index: number) => boolean {
  const { count } = graph;
  if (!present.includes(0)) return () => false;
  const isStart = (index: number) => present[index] === 1 && marking.live[index] === wanted;
  const keepers = reach(count, keeperEdges(graph), isStart);
  if (wanted === 0) return (index) => keepers[index] === 1;
  const kept = reach(count, keepingEdges(graph), isStart);
  return (index) => keepers[index] === 1 || kept[index] === 1;
}
