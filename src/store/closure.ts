/**
 * Closures over the reference graph, each computed by one recursive statement in SQLite instead of a query a path, and
 * topological order.
 */
import { printStorePath, type StorePath } from "../formats/store-path.ts";
import { InvalidPath } from "./path-info.ts";
import { pathColumn, pathList, queryValidPaths, type QueryContext } from "./queries.ts";
import { topologicalOrder } from "./topological-order.ts";

/** `references` goes from a path to what it needs, `referrers` to what needs it. */
export type ClosureDirection = "references" | "referrers";

/**
 * Edges beside the references. `outputs`: from a derivation to its valid outputs; `derivers`: from a path to its
 * deriver, where valid. Towards referrers both are followed backwards.
 */
export interface ClosureEdges {
  readonly outputs?: boolean;
  readonly derivers?: boolean;
}

const steps: Record<ClosureDirection, { references: string; outputs: string; derivers: string }> = {
  references: {
    references: "select r.reference from closure c join Refs r on r.referrer = c.id",
    outputs: "select v.id from closure c join DerivationOutputs d on d.drv = c.id join ValidPaths v on v.path = d.path",
    derivers: "select d.id from closure c join ValidPaths v on v.id = c.id join ValidPaths d on d.path = v.deriver",
  },
  referrers: {
    references: "select r.referrer from closure c join Refs r on r.reference = c.id",
    outputs: "select d.drv from closure c join ValidPaths v on v.id = c.id join DerivationOutputs d on d.path = v.path",
    derivers:
      "select v.id from closure c join ValidPaths drv on drv.id = c.id join DerivationOutputs d on d.drv = c.id " +
      "join ValidPaths v on v.path = d.path and v.deriver = drv.path",
  },
};

function closureSql(direction: ClosureDirection, edges: ClosureEdges): string {
  const step = steps[direction];
  const unions = [step.references];
  if (edges.outputs) unions.push(step.outputs);
  if (edges.derivers) unions.push(step.derivers);
  return (
    "with recursive closure(id) as (select id from ValidPaths where path in (select value from json_each(?)) union " +
    `${unions.join(" union ")}) select id, path from closure join ValidPaths using (id) order by path`
  );
}

interface ClosureRow {
  readonly id: number;
  readonly path: StorePath;
}

function closureRows(
  context: QueryContext,
  starts: Iterable<StorePath>,
  direction: ClosureDirection,
  edges: ClosureEdges,
): ClosureRow[] {
  const wanted = [...starts];
  const rows = context.db
    .statement(closureSql(direction, edges))
    .rows(pathList(context.storeDir, wanted))
    .map(([id, path]) => ({ id: Number(id), path: pathColumn(context, path) }));
  const found = new Set(rows.map(({ path }) => path));
  for (const path of wanted) {
    if (!found.has(path)) throw new InvalidPath(printStorePath(context.storeDir, path));
  }
  return rows;
}

/** The paths that can be reached from `starts`, these included, sorted. @throws InvalidPath for a start not valid */
export function computeClosure(
  context: QueryContext,
  starts: Iterable<StorePath>,
  direction: ClosureDirection = "references",
  edges: ClosureEdges = {},
): StorePath[] {
  return closureRows(context, starts, direction, edges).map(({ path }) => path);
}

/** As {@link computeClosure}, in topological order: a path after everything it refers to. @throws CyclicReferences */
export function computeSortedClosure(
  context: QueryContext,
  starts: Iterable<StorePath>,
  direction: ClosureDirection = "references",
  edges: ClosureEdges = {},
): StorePath[] {
  return sortRows(context, closureRows(context, starts, direction, edges));
}

/** `paths` with every path after what it refers to; those not valid count as referring to nothing. @throws CyclicReferences */
export function sortTopologically(context: QueryContext, paths: Iterable<StorePath>): StorePath[] {
  const wanted = [...new Set(paths)];
  const rows = context.db
    .statement("select id, path from ValidPaths where path in (select value from json_each(?)) order by path")
    .rows(pathList(context.storeDir, wanted))
    .map(([id, path]) => ({ id: Number(id), path: pathColumn(context, path) }));
  const valid = new Set(rows.map(({ path }) => path));
  const rest = wanted.filter((path) => !valid.has(path)).map((path, i) => ({ id: -1 - i, path }));
  const all = [...rows, ...rest].sort((a, b) => (a.path < b.path ? -1 : 1));
  return sortRows(context, all);
}

/** Rows sorted by path. */
function sortRows(context: QueryContext, rows: ClosureRow[]): StorePath[] {
  const positionById = new Map(rows.map(({ id }, position) => [id, position]));
  const references: number[][] = rows.map(() => []);
  const edges = context.db
    .statement("select referrer, reference from Refs where referrer in (select value from json_each(?))")
    .rows(JSON.stringify(rows.map(({ id }) => id)));
  for (const [referrer, reference] of edges) {
    const to = positionById.get(Number(reference));
    if (to !== undefined) references[positionById.get(Number(referrer))!]!.push(to);
  }
  // Positions are in path order, so this is the order in which Nix follows references.
  for (const list of references) list.sort((a, b) => a - b);
  const show = (position: number) => printStorePath(context.storeDir, rows[position]!.path);
  return topologicalOrder(references, show).map((position) => rows[position]!.path);
}

/** @throws InvalidPath for the first that is not valid */
export function requireValid(context: QueryContext, paths: readonly StorePath[]): void {
  const valid = queryValidPaths(context, paths);
  for (const path of paths) if (!valid.has(path)) throw new InvalidPath(printStorePath(context.storeDir, path));
}
