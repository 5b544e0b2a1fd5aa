/**
 * Path infos for somebody who asks for them one by one, as those do who walk a closure or list a store: when a path is asked for that was just
 * told of, what will be asked for next is read together with it, at a fraction of the cost. Nothing is answered from memory later than a
 * millisecond after anybody has written to the database.
 */
import { compareBytes } from "../formats/byte-string.ts";
import type { StorePath } from "../formats/store-path.ts";
import type { SqlValue } from "../runtime/interface.ts";
import type { PathInfo } from "./path-info.ts";
import { infoColumns, infoFromRow, pathColumn, pathList, type QueryContext } from "./queries.ts";

export interface PathInfoPrefetch {
  /** Undefined when the path is not valid. */
  query(path: StorePath): PathInfo | undefined;
  /** Whoever asks was told of these, and may ask for any of them. */
  announce(paths: readonly StorePath[]): void;
  /** To be called after every write through the same connection: only those of others are noticed. */
  forget(): void;
}

/** Paths that are read at once: few at first, and more as long as they are asked for. */
const minBatch = 32;
const maxBatch = 20_000;
const batchGrowth = 4;
/** Asking SQLite whether somebody has written takes as long as answering. */
const freshMs = 1;
/** Paths that are remembered. */
const maxKnown = 100_000;

/** As the database has it: paths are numbers, and each row is decoded when it is asked for. */
interface KnownRow {
  readonly path: StorePath;
  readonly row: readonly SqlValue[];
  readonly references: number[];
}

export function pathInfoPrefetch(context: QueryContext): PathInfoPrefetch {
  const { db } = context;
  const known = new Map<number, KnownRow>();
  const idByPath = new Map<StorePath, number>();
  const pathById = new Map<number, StorePath>();
  /** References of known paths that are not known themselves. */
  const frontier = new Set<number>();
  let list: readonly StorePath[] = [];
  let positionInList = new Map<StorePath, number>();
  let version: unknown;
  let checkedAt = 0;
  let batch = minBatch;
  /** Answers from memory since the last batch was read. */
  let hits = 0;

  function forget(): void {
    for (const each of [known, idByPath, pathById, frontier]) each.clear();
  }

  function checkVersion(): void {
    const now = performance.now();
    if (now - checkedAt < freshMs) return;
    checkedAt = now;
    // It changes when another connection has written.
    const current = db.statement("pragma data_version").row()?.[0];
    if (current === version) return;
    forget();
    version = current;
  }

  function nextBatchSize(): number {
    batch = hits >= batch / 2 ? Math.min(batch * batchGrowth, maxBatch) : minBatch;
    hits = 0;
    return batch;
  }

  function learnName(id: number, path: SqlValue | undefined): StorePath {
    let name = pathById.get(id);
    if (name === undefined) {
      name = pathColumn(context, path);
      pathById.set(id, name);
      idByPath.set(name, id);
    }
    return name;
  }

  /** Takes rows of `infoColumns`, and reads their references. */
  function learn(rows: readonly SqlValue[][]): void {
    if (known.size + rows.length > maxKnown) forget();
    const fresh = rows.map((row) => Number(row[0])).filter((id) => !known.has(id));
    for (const row of rows) {
      const id = Number(row[0]);
      if (!known.has(id)) known.set(id, { path: learnName(id, row[1]), row, references: [] });
      frontier.delete(id);
    }
    const edges = db
      .statement("select referrer, reference from Refs where referrer in (select value from json_each(?))")
      .rows(JSON.stringify(fresh));
    for (const [referrer, reference] of edges) {
      const id = Number(reference);
      known.get(Number(referrer))!.references.push(id);
      if (!known.has(id)) frontier.add(id);
    }
  }

  function readPaths(paths: readonly StorePath[]): void {
    learn(
      db
        .statement(`select ${infoColumns} from ValidPaths where path in (select value from json_each(?))`)
        .rows(pathList(context.storeDir, paths)),
    );
  }

  function readIds(ids: readonly number[]): void {
    for (const id of ids) frontier.delete(id); // also what is not valid any more
    learn(
      db
        .statement(`select ${infoColumns} from ValidPaths where id in (select value from json_each(?))`)
        .rows(JSON.stringify(ids)),
    );
  }

  /** Reads the path, other references, and what those refer to in turn. */
  function readOnwards(id: number): void {
    let left = nextBatchSize();
    for (let next = [id, ...frontier].slice(0, left); next.length > 0; next = [...frontier].slice(0, left)) {
      readIds(next);
      left -= next.length;
    }
  }

  function learnNames(ids: readonly number[]): void {
    if (ids.length === 0) return;
    const rows = db
      .statement("select id, path from ValidPaths where id in (select value from json_each(?))")
      .rows(JSON.stringify(ids));
    for (const [id, path] of rows) learnName(Number(id), path);
  }

  function decode({ row, references }: KnownRow): PathInfo {
    learnNames(references.filter((id) => !pathById.has(id)));
    const paths = references.flatMap((id) => pathById.get(id) ?? []).sort(compareBytes);
    return infoFromRow(context, row, paths);
  }

  function find(path: StorePath): KnownRow | undefined {
    const id = idByPath.get(path);
    return id === undefined ? undefined : known.get(id);
  }

  return {
    query(path) {
      checkVersion();
      const found = find(path);
      if (found !== undefined) {
        hits++;
        return decode(found);
      }
      const id = idByPath.get(path);
      const position = positionInList.get(path);
      if (id !== undefined && frontier.has(id)) readOnwards(id);
      else if (position !== undefined) readPaths(list.slice(position, position + nextBatchSize()));
      else readPaths([path]);
      const read = find(path);
      return read === undefined ? undefined : decode(read);
    },
    announce(paths) {
      list = paths;
      positionInList = new Map(paths.map((path, position) => [path, position]));
    },
    forget,
  };
}
