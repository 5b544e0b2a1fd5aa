/** Closures over a graph that is asked for path by path: level by level, so that each level is one batch. */
import { compareBytes } from "../../formats/byte-string.ts";
import { isDerivationPath, printStorePath, type StorePath } from "../../formats/store-path.ts";
import { operations } from "../../formats/worker-protocol/operations.ts";
import type { ClosureDirection, ClosureEdges } from "../../store/closure.ts";
import { InvalidPath, type PathInfo } from "../../store/path-info.ts";
import type { Store } from "../../store/store.ts";
import { topologicalOrder } from "../../store/topological-order.ts";
import type { DaemonConnection } from "./daemon-connection.ts";

type Queries = Pick<Store, "queryPathInfos" | "queryValidPaths" | "queryDerivationOutputs">;

export function remoteClosures(
  { callMany, context: { storeDir } }: DaemonConnection,
  { queryPathInfos, queryValidPaths, queryDerivationOutputs }: Queries,
): Pick<Store, "computeClosure" | "computeSortedClosure" | "sortTopologically"> {
  const show = (path: StorePath) => printStorePath(storeDir, path);
  const validOutputs = (drv: StorePath) => queryValidPaths(queryDerivationOutputs(drv).values());

  function closure(
    starts: Iterable<StorePath>,
    direction: ClosureDirection,
    edges: ClosureEdges,
  ): Map<StorePath, PathInfo> {
    const found = new Map<StorePath, PathInfo>();
    const wanted = new Set(starts);
    for (let level = new Set(wanted), isStart = true; level.size > 0; isStart = false) {
      const infos = queryPathInfos(level);
      for (const path of level) if (isStart && !infos.has(path)) throw new InvalidPath(show(path));
      const next = new Set<StorePath>();
      for (const [path, info] of infos) found.set(path, info);
      const add = (paths: Iterable<StorePath>) => {
        for (const path of paths) if (!found.has(path)) next.add(path);
      };
      if (direction === "references") follow(infos, edges, add);
      else followBack(infos, edges, add);
      level = next;
    }
    return found;
  }

  function follow(infos: ReadonlyMap<StorePath, PathInfo>, edges: ClosureEdges, add: Adder): void {
    const derivers = new Set<StorePath>();
    for (const [path, { references, deriver }] of infos) {
      add(references);
      if (edges.outputs && isDerivationPath(path)) add(validOutputs(path));
      if (edges.derivers && deriver !== undefined) derivers.add(deriver);
    }
    if (derivers.size > 0) add(queryValidPaths(derivers));
  }

  function followBack(infos: ReadonlyMap<StorePath, PathInfo>, edges: ClosureEdges, add: Adder): void {
    const requests = [...infos.keys()].map((path) => ({ path }));
    for (const referrers of callMany(operations.queryReferrers, requests)) add(referrers);
    if (edges.outputs) for (const derivers of callMany(operations.queryValidDerivers, requests)) add(derivers);
    if (!edges.derivers) return;
    for (const path of infos.keys()) {
      if (!isDerivationPath(path)) continue;
      for (const [output, { deriver }] of queryPathInfos(validOutputs(path))) if (deriver === path) add([output]);
    }
  }

  /** Those that are not valid refer to nothing. */
  function sort(paths: Iterable<StorePath>, infos: ReadonlyMap<StorePath, PathInfo>): StorePath[] {
    const sorted = [...new Set(paths)].sort(compareBytes);
    const positions = new Map(sorted.map((path, position) => [path, position]));
    const references = sorted.map((path) =>
      (infos.get(path)?.references ?? []).flatMap((reference) => positions.get(reference) ?? []).sort((a, b) => a - b),
    );
    return topologicalOrder(references, (position) => show(sorted[position]!)).map((position) => sorted[position]!);
  }

  return {
    computeClosure(starts, direction = "references", edges = {}) {
      const paths = [...starts];
      // No path is asked for twice: without edges of derivations, referrers need no infos.
      if (direction === "referrers" && !edges.outputs && !edges.derivers) return referrersClosure(paths);
      return [...closure(paths, direction, edges).keys()].sort(compareBytes);
    },
    computeSortedClosure(starts, direction = "references", edges = {}) {
      const found = closure(starts, direction, edges);
      return sort(found.keys(), found);
    },
    sortTopologically: (paths) => {
      const wanted = [...paths];
      return sort(wanted, queryPathInfos(wanted));
    },
  };

  function referrersClosure(starts: readonly StorePath[]): StorePath[] {
    const valid = queryValidPaths(starts);
    for (const path of starts) if (!valid.has(path)) throw new InvalidPath(show(path));
    const found = new Set(valid);
    for (let level = [...valid]; level.length > 0; ) {
      const next = new Set<StorePath>();
      const requests = level.map((path) => ({ path }));
      for (const referrers of callMany(operations.queryReferrers, requests))
        for (const referrer of referrers) if (!found.has(referrer)) next.add(referrer);
      for (const path of next) found.add(path);
      level = [...next];
    }
    return [...found].sort(compareBytes);
  }
}

type Adder = (paths: Iterable<StorePath>) => void;
