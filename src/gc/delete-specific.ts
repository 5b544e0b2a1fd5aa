/** Deleting given paths, unless something alive or not given needs them. */
import { SiloError } from "../error.ts";
import type { StorePath } from "../formats/store-path.ts";
import { DatabaseError } from "../store/database/store-database.ts";
import { type Collection, fullPath } from "./collection.ts";
import { type Deletion, deletePaths, durabilityOf } from "./delete-dead.ts";
import { deletionOrder } from "./graph/deletion-order.ts";
import { chainToRoot } from "./graph/mark.ts";
import { keeperEdges, reach } from "./graph/reach.ts";
import { reverseEdges } from "./graph/edges.ts";
import { withDurableDatabase } from "./invalidate.ts";
import { isInUse } from "./store-entries.ts";
import { moveToTrash } from "./trash/trash.ts";

/** A path that cannot be deleted, since it is alive or something that stays needs it. */
export class PathStillAlive extends SiloError {
  readonly code = "path-still-alive";
  constructor(
    /** The full path. */
    readonly path: string,
    /** From what keeps it to the path itself. */
    readonly chain: readonly string[],
    /** The root's link, or `{temp:123}` and the like; undefined when garbage that is to stay needs the path. */
    readonly root: string | undefined,
    advice: string,
  ) {
    super(
      `cannot delete path '${path}' since it is still alive: ` +
        `${[...(root === undefined ? [] : [root]), ...chain].map((each) => `'${each}'`).join(" -> ")}${advice}`,
    );
  }
}

/**
 * Deletes the paths, valid or not; all or none when the database says no.
 * @param referrers what refers to them is deleted as well, or else must be among them
 * @throws PathStillAlive nothing was deleted; DatabaseError
 */
export function deleteSpecific(
  collection: Collection,
  deletion: Deletion,
  paths: readonly StorePath[],
  referrers: "delete" | "keep",
): void {
  const { store, graph } = collection;
  const valid = new Set<number>();
  const invalid: StorePath[] = [];
  for (const path of [...new Set(paths)].sort()) {
    const index = graph.names.findName(path);
    if (index >= 0) valid.add(index);
    else if (isInUse(deletion.trash.storeFd, path, collection.isTempRoot)) throw inUse(collection, path);
    else invalid.push(path);
  }
  for (const path of valid) requireDead(collection, path);
  const doomed = referrers === "delete" ? withReferrers(collection, valid) : valid;
  for (const path of doomed) requireDead(collection, path);
  if (referrers === "keep") requireUnneeded(collection, valid);

  const stays = new Uint8Array(graph.count).fill(1);
  for (const path of doomed) stays[path] = 0;
  const stuck: number[] = [];
  const end = withDurableDatabase(store.db, durabilityOf(store), () =>
    deletePaths(collection, deletion, [...deletionOrder(graph, stays)], stuck),
  );
  if (end === "no-room") {
    throw new DatabaseError(store.db.path, "full", new Error("no room to change the database"));
  }
  for (const path of doomed) requireDead(collection, path); // a root may have arrived at the last moment
  if (stuck.length > 0) throw neededBy(collection, stuck[0]!, undefined);
  for (const path of invalid) {
    const shown = `${store.storeDir}/${path}`;
    store.reporter.message("info", `deleting '${shown}'`);
    deletion.deleted.add(path);
    moveToTrash(deletion.trash, path, shown, deletion.sweep);
  }
}

function requireDead(collection: Collection, path: number): void {
  const { marking, roots } = collection;
  if (marking.live[path] === 0) return;
  const chain = chainToRoot(marking, path);
  const root = roots.find((each) => each.path === chain[0])?.link ?? "{temporary root}";
  const shown = chain.map((each) => fullPath(collection, each));
  throw new PathStillAlive(fullPath(collection, path), shown, root, "");
}

function inUse({ store }: Collection, path: StorePath): PathStillAlive {
  const shown = `${store.storeDir}/${path}`;
  return new PathStillAlive(shown, [shown], undefined, "; a process is making it");
}

function withReferrers({ graph }: Collection, paths: ReadonlySet<number>): Set<number> {
  const reached = reach(graph.count, [reverseEdges(graph.references)], (path) => paths.has(path));
  const all = new Set<number>();
  reached.forEach((value, path) => {
    if (value === 1) all.add(path);
  });
  return all;
}

/** Nix deletes a path only together with all that would keep it, were that alive. */
function requireUnneeded(collection: Collection, paths: ReadonlySet<number>): void {
  const edges = keeperEdges(collection.graph);
  for (const path of paths) {
    for (const { starts, targets } of edges) {
      for (let i = starts[path]!; i < starts[path + 1]!; i++) {
        if (!paths.has(targets[i]!)) throw neededBy(collection, path, targets[i]!);
      }
    }
  }
}

function neededBy(collection: Collection, path: number, keeper: number | undefined): PathStillAlive {
  const shown = fullPath(collection, path);
  const chain = keeper === undefined ? [shown] : [fullPath(collection, keeper), shown];
  return new PathStillAlive(
    shown,
    chain,
    undefined,
    "; what needs it is garbage, but was not given: delete it, too, or run 'nix-store --gc'",
  );
}
