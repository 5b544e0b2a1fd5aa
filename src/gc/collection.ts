/**
 * A collection: the moment when, with the collector's lock held, all roots are known and everything alive is marked.
 * While it lasts other processes go on adding paths; they tell us their roots, which are marked on top.
 */
import { hashPartLength } from "../formats/store-path.ts";
import type { LocalStore } from "../store/local-store.ts";
import { withCollectorLock } from "./collector-lock.ts";
import { emptyMarking, type Marking, markFrom } from "./graph/mark.ts";
import { loadReferenceGraph, type ReferenceGraph } from "./graph/reference-graph.ts";
import { findRootCandidates, reportInvalid, type RootCandidate, tempRootLink } from "./roots/find-roots.ts";
import { readTempRoots } from "./roots/temp-root-files.ts";
import { startRootsServer } from "./roots-server.ts";

export interface Collection {
  readonly store: LocalStore;
  readonly graph: ReferenceGraph;
  readonly marking: Marking;
  /** 1 for each path that this collection has made invalid. */
  readonly gone: Uint8Array;
  /** Roots of valid paths and temporary roots. */
  readonly roots: readonly CollectionRoot[];
  /** Is there a temporary root with this hash part? */
  isTempRoot(hashPart: string): boolean;
  /** Takes in the roots that other processes have told us meanwhile. To be called every 100 ms or so. */
  pause(): void;
}

export interface CollectionRoot {
  readonly link: string;
  /** The number of the path in the graph. */
  readonly path: number;
}

export interface CollectionOptions {
  /** Do roots other than temporary ones count? When they do not, nor do `keep-outputs` and `keep-derivations`. */
  readonly liveness: "respect" | "ignore";
  /** Will somebody ask why a path is alive? */
  readonly reasons: "with-parents" | "without-parents";
  readonly narSizes: "load" | "skip";
}

/** Runs `body` while nobody else collects. @throws SystemError, RootFinderFailed, BadDatabaseRow, DatabaseError */
export function withCollection<T>(
  store: LocalStore,
  options: CollectionOptions,
  body: (collection: Collection) => T,
): T {
  return withCollectorLock(store, "exclusive", () => {
    const arrivals = startArrivals(store);
    try {
      return collect(store, options, arrivals, body);
    } finally {
      arrivals.close();
    }
  });
}

function collect<T>(
  store: LocalStore,
  { liveness, reasons, narSizes }: CollectionOptions,
  arrivals: Arrivals,
  body: (collection: Collection) => T,
): T {
  const { settings, reporter } = store;
  const respect = liveness === "respect";
  reporter.message("info", "finding garbage collector roots...");
  // Temporary roots first: a process that ends meanwhile has left a permanent root behind, which is found, or wanted none.
  const tempRoots = readTempRoots(store, "collect");
  try {
    const candidates = respect ? findRootCandidates(store) : [];
    arrivals.serve();
    const graph = loadReferenceGraph(
      store,
      {
        outputs: respect && settings.get("keep-outputs") ? "load" : "skip",
        derivers: respect && settings.get("keep-derivations") ? "load" : "skip",
        narSizes,
      },
      arrivals.serve,
    );
    const { names } = graph;
    reportInvalid(store, candidates, (path) => names.findName(path) >= 0);
    for (const { path } of tempRoots.roots) arrivals.add(path);
    const told = tempRoots.roots.map((root) => ({ link: tempRootLink(root), path: nameIn(store, root.path) }));
    const roots = [...candidates.map(candidateRoot), ...told].flatMap(({ link, path }) => {
      const index = names.findName(path);
      return index < 0 ? [] : [{ link, path: index }];
    });
    const marking = emptyMarking(graph, reasons);
    markFrom(
      graph,
      marking,
      roots.map(({ path }) => path),
    );
    arrivals.handTo((name) => {
      const index = names.findName(name);
      if (index >= 0) markFrom(graph, marking, [index]);
    });
    const gone = new Uint8Array(graph.count);
    return body({ store, graph, marking, gone, roots, isTempRoot: arrivals.has, pause: arrivals.serve });
  } finally {
    tempRoots.release();
  }
}

function candidateRoot({ link, target }: RootCandidate): { readonly link: string; readonly path: string } {
  return { link, path: target };
}

/** The base name of a full path; the path itself when it is of another store. */
function nameIn({ storeDir }: LocalStore, path: string): string {
  return path.startsWith(`${storeDir}/`) ? path.slice(storeDir.length + 1) : path;
}

/** Temporary roots, those in files and those that arrive while the collection lasts. */
interface Arrivals {
  serve(): void;
  add(path: string): void;
  /** Only the hash part counts, so that a path's lock file and the like are kept with it. */
  has(hashPart: string): boolean;
  /** Has `take` told of each root, those that have arrived already first. */
  handTo(take: (name: string) => void): void;
  close(): void;
}

function startArrivals(store: LocalStore): Arrivals {
  const hashParts = new Set<string>();
  const waiting: string[] = [];
  let take: (name: string) => void = (name) => void waiting.push(name);
  const add = (path: string) => {
    const name = nameIn(store, path);
    hashParts.add(name.slice(0, hashPartLength));
    take(name);
  };
  const server = startRootsServer(store.stateDir, add);
  return {
    serve: server.serve,
    add,
    has: (hashPart) => hashParts.has(hashPart),
    handTo(newTake) {
      for (const name of waiting.splice(0)) newTake(name);
      take = newTake;
    },
    close: server.close,
  };
}

export function fullPath({ store, graph }: Collection, index: number): string {
  return `${store.storeDir}/${graph.names.name(index)}`;
}
