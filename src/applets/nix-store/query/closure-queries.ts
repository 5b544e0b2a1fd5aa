/** Queries that answer for all operands together, sorted so that a path comes after what it refers to. */
import type { StorePath } from "../../../formats/store-path.ts";
import { printPaths } from "../print-paths.ts";
import type { QueryContext } from "./query.ts";
import { allTargets } from "./targets.ts";

export async function requisites(context: QueryContext): Promise<void> {
  const { store, io, operation } = context;
  const outputs = operation.line.has("include-outputs");
  printPaths(io, store.storeDir, store.computeSortedClosure(await allTargets(context), "references", { outputs }));
}

export async function references(context: QueryContext): Promise<void> {
  const found = new Set<StorePath>();
  for (const path of await allTargets(context)) {
    for (const reference of context.store.requirePathInfo(path).references) found.add(reference);
  }
  printSorted(context, found);
}

export async function referrers(context: QueryContext): Promise<void> {
  const found = new Set<StorePath>();
  for (const path of await allTargets(context)) for (const each of context.store.queryReferrers(path)) found.add(each);
  printSorted(context, found);
}

/** A path that is not valid has itself for its closure, since nothing refers to it. */
export async function referrersClosure(context: QueryContext): Promise<void> {
  const { store } = context;
  const paths = await allTargets(context);
  printSorted(context, new Set([...paths, ...store.computeClosure(store.queryValidPaths(paths), "referrers")]));
}

function printSorted({ store, io }: QueryContext, paths: Iterable<StorePath>): void {
  printPaths(io, store.storeDir, store.sortTopologically(paths));
}
