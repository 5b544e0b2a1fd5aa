/** Queries that answer for all operands together, sorted so that a path comes after what it refers to. */
import type { StorePath } from "../../../formats/store-path.ts";
import { printPaths } from "../print-paths.ts";
import type { QueryContext } from "./query.ts";
import { targetsOf } from "./targets.ts";

export function requisites(context: QueryContext): void {
  const { store, io, operation } = context;
  const outputs = operation.line.has("include-outputs");
  printPaths(io, store.storeDir, store.computeSortedClosure(targets(context), "references", { outputs }));
}

export function references(context: QueryContext): void {
  const found = new Set<StorePath>();
  for (const path of targets(context)) {
    for (const reference of context.store.requirePathInfo(path).references) found.add(reference);
  }
  printSorted(context, found);
}

export function referrers(context: QueryContext): void {
  const found = new Set<StorePath>();
  for (const path of targets(context)) for (const each of context.store.queryReferrers(path)) found.add(each);
  printSorted(context, found);
}

/** A path that is not valid has itself for its closure, since nothing refers to it. */
export function referrersClosure(context: QueryContext): void {
  const { store } = context;
  const paths = targets(context);
  printSorted(context, new Set([...paths, ...store.computeClosure(store.queryValidPaths(paths), "referrers")]));
}

function targets(context: QueryContext): StorePath[] {
  return [...targetsOf(context)].flat();
}

function printSorted({ store, io }: QueryContext, paths: Iterable<StorePath>): void {
  printPaths(io, store.storeDir, store.sortTopologically(paths));
}
