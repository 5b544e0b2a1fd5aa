/**
 * Questions to the database that a batch of paths answers with one statement. Paths travel as a JSON array, so that no
 * limit on the number of SQL variables applies.
 */
import type { SqlValue } from "../runtime/interface.ts";
import { parseContentAddress } from "../formats/content-address.ts";
import { parseHash } from "../formats/hash.ts";
import { parseFullStorePath, printStorePath, type StoreDir, type StorePath } from "../formats/store-path.ts";
import { SiloError } from "../error.ts";
import type { StoreDatabase } from "./database/store-database.ts";
import { InvalidPath, type PathInfo } from "./path-info.ts";

/** What a query needs: the connection and the directory in front of every path in it. */
export interface QueryContext {
  readonly db: StoreDatabase;
  readonly storeDir: StoreDir;
}

/** A row that Nix would not write. */
export class BadDatabaseRow extends SiloError {
  readonly code = "bad-database-row";
  constructor(
    readonly path: string,
    readonly reason: string,
    cause?: unknown,
  ) {
    super(`The database's entry for '${path}' is damaged: ${reason}`, { cause });
  }
}

export function isValidPath({ db, storeDir }: QueryContext, path: StorePath): boolean {
  return db.statement("select 1 from ValidPaths where path = ?").row(printStorePath(storeDir, path)) !== undefined;
}

/** Those of `paths` that are valid. */
export function queryValidPaths(context: QueryContext, paths: Iterable<StorePath>): Set<StorePath> {
  const rows = context.db
    .statement("select path from ValidPaths where path in (select value from json_each(?))")
    .rows(pathList(context.storeDir, paths));
  return new Set(rows.map(([path]) => pathColumn(context, path)));
}

/** Sorted. */
export function queryAllValidPaths(context: QueryContext): StorePath[] {
  const rows = context.db.statement("select path from ValidPaths order by path").rows();
  return rows.map(([path]) => pathColumn(context, path));
}

/** What {@link infoFromRow} takes, in this order. */
export const infoColumns = "id, path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca";

/** Undefined when the path is not valid. */
export function queryPathInfo(context: QueryContext, path: StorePath): PathInfo | undefined {
  const row = context.db
    .statement(`select ${infoColumns} from ValidPaths where path = ?`)
    .row(printStorePath(context.storeDir, path));
  if (row === undefined) return undefined;
  const references = context.db
    .statement("select path from Refs join ValidPaths on reference = id where referrer = ? order by path")
    .rows(row[0]!)
    .map(([reference]) => pathColumn(context, reference));
  return infoFromRow(context, row, references);
}

/** @throws InvalidPath */
export function requirePathInfo(context: QueryContext, path: StorePath): PathInfo {
  const info = queryPathInfo(context, path);
  if (info === undefined) throw new InvalidPath(printStorePath(context.storeDir, path));
  return info;
}

/** The infos of those of `paths` that are valid, in two statements whatever their number. */
export function queryPathInfos(context: QueryContext, paths: Iterable<StorePath>): Map<StorePath, PathInfo> {
  return infosOfRows(
    context,
    context.db
      .statement(`select ${infoColumns} from ValidPaths where path in (select value from json_each(?)) order by path`)
      .rows(pathList(context.storeDir, paths)),
  );
}

/** Every valid path's info, sorted by path. */
export function queryAllPathInfos(context: QueryContext): Map<StorePath, PathInfo> {
  return infosOfRows(context, context.db.statement(`select ${infoColumns} from ValidPaths order by path`).rows());
}

function infosOfRows(context: QueryContext, rows: SqlValue[][]): Map<StorePath, PathInfo> {
  const edges = context.db
    .statement(
      "select referrer, path from Refs join ValidPaths on reference = id " +
        "where referrer in (select value from json_each(?)) order by path",
    )
    .rows(JSON.stringify(rows.map(([id]) => id)));
  const referencesById = new Map<SqlValue, StorePath[]>();
  for (const [id] of rows) referencesById.set(id!, []);
  for (const [referrer, path] of edges) referencesById.get(referrer!)?.push(pathColumn(context, path));
  const infos = new Map<StorePath, PathInfo>();
  for (const row of rows) {
    const info = infoFromRow(context, row, referencesById.get(row[0]!) ?? []);
    infos.set(info.path, info);
  }
  return infos;
}

/** Sorted; the path itself included when it refers to itself. Empty for a path that is not valid. */
export function queryReferrers(context: QueryContext, path: StorePath): StorePath[] {
  const rows = context.db
    .statement(
      "select path from Refs join ValidPaths on referrer = id " +
        "where reference = (select id from ValidPaths where path = ?) order by path",
    )
    .rows(printStorePath(context.storeDir, path));
  return rows.map(([referrer]) => pathColumn(context, referrer));
}

/** The valid derivations that have `path` among their outputs, sorted; `path` itself need not be valid. */
export function queryValidDerivers(context: QueryContext, path: StorePath): StorePath[] {
  const rows = context.db
    .statement("select v.path from DerivationOutputs d join ValidPaths v on d.drv = v.id where d.path = ? order by 1")
    .rows(printStorePath(context.storeDir, path));
  return rows.map(([deriver]) => pathColumn(context, deriver));
}

/** The known outputs of a valid derivation by name, sorted by name; they need not be valid. */
export function queryDerivationOutputs(context: QueryContext, drv: StorePath): Map<string, StorePath> {
  const rows = context.db
    .statement(
      "select d.id, d.path from DerivationOutputs d join ValidPaths v on d.drv = v.id where v.path = ? order by d.id",
    )
    .rows(printStorePath(context.storeDir, drv));
  return new Map(rows.map(([name, path]) => [String(name), pathColumn(context, path)]));
}

/** The valid path whose hash part is these 32 characters. */
export function queryPathFromHashPart(context: QueryContext, part: string): StorePath | undefined {
  const row = context.db
    .statement("select path from ValidPaths where path >= ? order by path limit 1")
    .row(`${context.storeDir}/${part}`);
  if (row === undefined || !String(row[0]).startsWith(`${context.storeDir}/${part}-`)) return undefined;
  return pathColumn(context, row[0]);
}

/** Full paths as the JSON array that `json_each` takes. */
export function pathList(storeDir: StoreDir, paths: Iterable<StorePath>): string {
  return JSON.stringify(Array.from(paths, (path) => printStorePath(storeDir, path)));
}

/** @throws BadDatabaseRow */
export function pathColumn({ storeDir }: QueryContext, value: SqlValue | undefined): StorePath {
  try {
    return parseFullStorePath(storeDir, String(value));
  } catch (error) {
    throw new BadDatabaseRow(String(value), "is not a store path", error);
  }
}

/** The info of a row of {@link infoColumns}. @throws BadDatabaseRow */
export function infoFromRow(
  context: QueryContext,
  row: readonly SqlValue[],
  references: readonly StorePath[],
): PathInfo {
  const [, path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca] = row;
  try {
    return {
      path: pathColumn(context, path),
      narHash: parseHash(String(hash)),
      narSize: narSize === null || narSize === 0 ? undefined : Number(narSize),
      references,
      deriver: deriver === null || deriver === "" ? undefined : parseFullStorePath(context.storeDir, String(deriver)),
      registrationTimeSec: Number(registrationTime),
      ultimate: ultimate === 1,
      signatures:
        sigs === null
          ? []
          : String(sigs)
              .split(" ")
              .filter((sig) => sig !== ""),
      contentAddress: ca === null || ca === "" ? undefined : parseContentAddress(String(ca)),
    };
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    throw new BadDatabaseRow(String(path), error.message, error);
  }
}
