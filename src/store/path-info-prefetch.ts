/**
 * Path infos for somebody who asks for them one by one, as those do who walk a closure or list a store: when a path is asked for that was just
 * told of, what will be asked for next is read together with it, at a fraction of the cost. Nothing is answered from memory later than a
 * millisecond after anybody has written to the database.
 */
import { compareBytes } from "../formats/byte-string.ts";
import { printStorePath, type StorePath } from "../formats/store-path.ts";
import type { SqlValue } from "../runtime/interface.ts";
import type { PathInfo } from "./path-info.ts";
import { infoColumns, infoFromRow, pathColumn, pathList, type QueryContext } from "./queries.ts";

export interface PathInfoPrefetch {
  /** Undefined when the path is not valid. */
  query(path: StorePath): PathInfo | undefined;
  /** As the database has it, if it is in memory: for those who hand it on as it is. Takes a full path. */
  remembered(fullPath: string): RawPathInfo | undefined;
  /** Whoever asks was told of these, and may ask for any of them. */
  announce(paths: readonly StorePath[]): void;
  /** To be called after every write through the same connection: only those of others are noticed. */
  forget(): void;
}

export interface RawPathInfo {
  /** The values of `infoColumns`. */
  readonly row: readonly SqlValue[];
  /** Full paths, ascending. */
  readonly references: readonly string[];
}

/** Paths that are read at once: few at first, and more as long as they are asked for. */
const minBatch = 32;
const maxBatch = 20_000;
const batchGrowth = 4;
/** Asking SQLite whether somebody has written takes as long as answering. */
const freshMs = 1;
/** Paths that are remembered. */
const maxKnown = 100_000;

/** Paths are numbers, and only what is asked for is decoded. */
interface KnownRow {
  readonly row: readonly SqlValue[];
  readonly referenceIds: number[];
  references: readonly string[] | undefined;
}

export function pathInfoPrefetch(context: QueryContext): PathInfoPrefetch {
  const { db } = context;
  const known = new Map<number, KnownRow>();
  /** Full paths. */
  const pathById = new Map<number, string>();
  const idByPath = new Map<string, number>();
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

  function learnName(id: number, path: string): void {
    if (pathById.has(id)) return;
    pathById.set(id, path);
    idByPath.set(path, id);
  }

  /** Takes rows of `infoColumns`, and reads their references. */
  function learn(rows: readonly SqlValue[][]): void {
    if (known.size + rows.length > maxKnown) forget();
    const fresh: number[] = [];
    for (const row of rows) {
      const id = Number(row[0]);
      frontier.delete(id);
      if (known.has(id)) continue;
      learnName(id, String(row[1]));
      known.set(id, { row, referenceIds: [], references: undefined });
      fresh.push(id);
    }
    const edges = db
      .statement("select referrer, reference from Refs where referrer in (select value from json_each(?))")
      .rows(JSON.stringify(fresh));
    for (const [referrer, reference] of edges) {
      const id = Number(reference);
      known.get(Number(referrer))!.referenceIds.push(id);
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
    for (const [id, path] of rows) learnName(Number(id), String(path));
  }

  /** In memory, with the names of its references. */
  function find(fullPath: string): (KnownRow & RawPathInfo) | undefined {
    const id = idByPath.get(fullPath);
    const found = id === undefined ? undefined : known.get(id);
    if (found === undefined) return undefined;
    if (found.references === undefined) {
      learnNames(found.referenceIds.filter((each) => !pathById.has(each)));
      found.references = found.referenceIds.flatMap((each) => pathById.get(each) ?? []).sort(compareBytes);
    }
    return found as KnownRow & RawPathInfo;
  }

  function decode({ row, references }: RawPathInfo): PathInfo {
    return infoFromRow(
      context,
      row,
      references.map((path) => pathColumn(context, path)),
    );
  }

  return {
    query(path) {
      checkVersion();
      const fullPath = printStorePath(context.storeDir, path);
      const found = find(fullPath);
      if (found !== undefined) {
        hits++;
        return decode(found);
      }
      const id = idByPath.get(fullPath);
      const position = positionInList.get(path);
      if (id !== undefined && frontier.has(id)) readOnwards(id);
      else if (position !== undefined) readPaths(list.slice(position, position + nextBatchSize()));
      else readPaths([path]);
      const read = find(fullPath);
      return read === undefined ? undefined : decode(read);
    },
    remembered(fullPath) {
      checkVersion();
      const found = find(fullPath);
      if (found !== undefined) hits++;
      return found;
    },
    announce(paths) {
      list = paths;
      positionInList = new Map(paths.map((path, position) => [path, position]));
    },
    forget,
  };
}
