/** The sets that `--print-live` and `--print-dead` print, as Nix has them. */
import { close, O_DIRECTORY, O_RDONLY, open } from "../sys/descriptor.ts";
import { type Collection, fullPath } from "./collection.ts";
import { keeperEdges, keepingEdges, reach } from "./graph/reach.ts";
import { isInUse, readStoreEntries, type StoreEntries } from "./store-entries.ts";

/** Full paths, sorted; names that are no store paths among the dead. */
export function printableSet(collection: Collection, which: "live" | "dead"): string[] {
  const { store, graph, marking } = collection;
  const entries = readStoreEntries(store.realStoreDir, graph.names, graph.count, collection.pause);
  collection.pause();
  const wanted = which === "live" ? 1 : 0;
  const paths: string[] = [];
  const missing = missingPaths(collection, entries, wanted);
  for (let i = 0; i < graph.count; i++) {
    if (marking.live[i] === wanted && (entries.present[i] === 1 || missing(i))) paths.push(fullPath(collection, i));
  }
  const storeFd = open(store.realStoreDir, O_RDONLY | O_DIRECTORY);
  try {
    for (const name of entries.leftovers) {
      if (isInUse(storeFd, name, collection.isTempRoot) === (which === "live")) paths.push(`${store.storeDir}/${name}`);
    }
  } finally {
    close(storeFd);
  }
  return paths.sort();
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
