/** Cached build failures (`build-cache-failure`): outputs that are not to be tried again until cleared. */
import { printStorePath, type StorePath } from "../formats/store-path.ts";
import { failedPathsSql } from "./database/schema.ts";
import { pathColumn, type QueryContext } from "./queries.ts";

function tableExists({ db }: QueryContext): boolean {
  return db.statement("select 1 from sqlite_master where type = 'table' and name = 'FailedPaths'").row() !== undefined;
}

export function registerFailedPath(context: QueryContext, path: StorePath): void {
  context.db.transaction(() => {
    if (!tableExists(context)) context.db.exec(failedPathsSql);
    context.db
      .statement("insert or ignore into FailedPaths (path, time) values (?, ?)")
      .run(printStorePath(context.storeDir, path), Math.floor(Date.now() / 1000));
  });
}

export function hasPathFailed(context: QueryContext, path: StorePath): boolean {
  if (!tableExists(context)) return false;
  const statement = context.db.statement("select 1 from FailedPaths where path = ?");
  return statement.row(printStorePath(context.storeDir, path)) !== undefined;
}

/** Sorted. */
export function queryFailedPaths(context: QueryContext): StorePath[] {
  if (!tableExists(context)) return [];
  const rows = context.db.statement("select path from FailedPaths order by path").rows();
  return rows.map(([path]) => pathColumn(context, path));
}

/** Forgets these failures; for a derivation those of its outputs; `all` forgets every one. */
export function clearFailedPaths(context: QueryContext, paths: readonly StorePath[] | "all"): void {
  if (!tableExists(context)) return;
  context.db.transaction(() => {
    if (paths === "all") {
      context.db.exec("delete from FailedPaths");
      return;
    }
    const statement = context.db.statement(
      "delete from FailedPaths where path = ?1 or path in (select d.path from DerivationOutputs d " +
        "join ValidPaths v on d.drv = v.id where v.path = ?1)",
    );
    for (const path of paths) statement.run(printStorePath(context.storeDir, path));
  });
}
