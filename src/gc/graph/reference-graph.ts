/**
 * The reference graph of the whole store in typed arrays, loaded with a few statements. Paths are numbers here: their
 * positions in the order of the database's ids.
 *
 * Rows cross from SQLite in blocks, a column of twenty thousand paths as one text: a million rows as JavaScript arrays
 * take longer and leave much to the runtime's collector (row-block.ts).
 */
import { decodeBytes } from "../../formats/byte-string.ts";
import type { StoreDir } from "../../formats/store-path.ts";
import type { StoreDatabase } from "../../store/database/store-database.ts";
import { BadDatabaseRow } from "../../store/queries.ts";
import { collectEvery } from "../../sys/memory.ts";
import { type Edges, edgeList } from "./edges.ts";
import { type NameTable, nameTable } from "./name-table.ts";
import { numberReader, type TextBlock, textBlock } from "./row-block.ts";
import { rowIndex } from "./row-index.ts";

export interface ReferenceGraph {
  readonly count: number;
  readonly names: NameTable;
  /** The database's ids, ascending. */
  readonly ids: Float64Array;
  /** Without those of a path to itself. */
  readonly references: Edges;
  /** Each path's deriver, or -1 where it has none that is valid. Undefined when not asked for. */
  readonly derivers: Int32Array | undefined;
  /** From derivations to their valid outputs. Undefined when not asked for. */
  readonly outputs: Edges | undefined;
  /** Bytes of each path's NAR, 0 where unknown. Undefined when not asked for. */
  readonly narSizes: Float64Array | undefined;
}

export interface GraphParts {
  readonly derivers: "load" | "skip";
  readonly outputs: "load" | "skip";
  readonly narSizes: "load" | "skip";
}

export interface GraphSource {
  readonly db: StoreDatabase;
  readonly storeDir: StoreDir;
}

/** Ids of paths in one statement at most, and of derivations in one that reads outputs. */
const blockSize = 5000;

/** What SQLite gave is dropped after so many paths: the runtime does not see how much that is. */
const tidyEveryPaths = 200_000;

/**
 * Reads one state of the database, whatever others write meanwhile.
 * @param pause called between blocks, every few dozen milliseconds
 * @throws BadDatabaseRow, DatabaseError
 */
export function loadReferenceGraph(source: GraphSource, parts: GraphParts, pause: () => void): ReferenceGraph {
  const { db } = source;
  db.exec("begin");
  try {
    const count = Number(db.statement("select count(*) from ValidPaths").row()![0]);
    const paths = loadPaths(source, count, parts, pause);
    const { ids } = paths;
    const indexOf = rowIndex(ids);
    const references = loadReferences(db, ids, indexOf, pause);
    const outputs = parts.outputs === "load" ? loadOutputs(source, paths, indexOf, pause) : undefined;
    return { count, ...paths, references, outputs };
  } finally {
    db.exec("commit");
  }
}

type LoadedPaths = Pick<ReferenceGraph, "names" | "ids" | "derivers" | "narSizes">;

/** Whole paths, since SQLite takes long to find where their names begin: it counts characters. */
const pathsSql = ({ narSizes, derivers }: GraphParts) =>
  "select count(*), max(id), cast(group_concat(id) as blob), cast(group_concat(path) as blob), " +
  `${derivers === "load" ? "cast(group_concat(ifnull(deriver, '')) as blob)" : "null"}, ` +
  `${narSizes === "load" ? "cast(group_concat(ifnull(narSize, 0)) as blob)" : "null"} ` +
  "from ValidPaths where id >= ?1 and id <= ?2";

function loadPaths({ db, storeDir }: GraphSource, count: number, parts: GraphParts, pause: () => void): LoadedPaths {
  checkPrefix(db, storeDir);
  const ids = new Float64Array(count);
  const names = nameTable(count);
  const narSizes = parts.narSizes === "load" ? new Float64Array(count) : undefined;
  const derivers = parts.derivers === "load" ? new Int32Array(count).fill(-1) : undefined;
  const later = new Map<number, string>();
  const nextId = db.statement("select min(id) from ValidPaths where id > ?");
  const statement = db.statement(pathsSql(parts));
  const readNumbers = numberReader();
  const prefix = storeDir.length + 1;
  const tidy = collectEvery(tidyEveryPaths);
  let loaded = 0;
  for (let last = -1; ; pause()) {
    const [first] = nextId.row(last)!;
    if (typeof first !== "number") break;
    const [rows, highest, idText, pathText, deriverText, narSizeText] = statement.row(first, first + blockSize - 1)!;
    const size = Number(rows);
    if (loaded + size > count) throw new BadDatabaseRow("ValidPaths", "it has more rows than it counts");
    const block = readNumbers(idText, size);
    for (const id of block) {
      if (id <= last) throw new BadDatabaseRow(`row ${id} of ValidPaths`, "ids are not in order");
      last = id;
    }
    if (last !== highest) throw new BadDatabaseRow(`row ${last} of ValidPaths`, "ids are not in order");
    ids.set(block, loaded);
    names.add(textBlock(pathText, size), prefix);
    if (derivers !== undefined) addDerivers(names, derivers, loaded, textBlock(deriverText, size), prefix, later);
    narSizes?.set(readNumbers(narSizeText, size), loaded);
    loaded += size;
    tidy(size);
  }
  if (loaded !== count) throw new BadDatabaseRow("ValidPaths", "it has fewer rows than it counts");
  for (const [index, deriver] of later) derivers![index] = names.findName(deriver);
  return { names, ids, narSizes, derivers };
}

/** The first and the last path in the order of the index on paths show that all are in the store directory. */
function checkPrefix(db: StoreDatabase, storeDir: StoreDir): void {
  const prefix = `${storeDir}/`;
  for (const sql of ["select min(path) from ValidPaths", "select max(path) from ValidPaths"]) {
    const path = db.statement(sql).row()?.[0] ?? null;
    if (path !== null && !String(path).startsWith(prefix)) {
      throw new BadDatabaseRow(String(path), `it is not in the store directory '${storeDir}'`);
    }
  }
}

/** @param later gets those that may come in a later block: mostly a deriver was registered before what it made */
function addDerivers(
  names: NameTable,
  derivers: Int32Array,
  offset: number,
  { bytes, ends }: TextBlock,
  prefix: number,
  later: Map<number, string>,
): void {
  let start = prefix;
  for (let i = 0; i < ends.length; i++) {
    const end = ends[i]!;
    if (end > start) {
      const deriver = names.find(bytes, start, end);
      if (deriver < 0) later.set(offset + i, decodeBytes(bytes.subarray(start, end)));
      else derivers[offset + i] = deriver;
    }
    start = end + 1 + prefix;
  }
}

/** An edge as one number that is an integer in JavaScript, too. */
const referencesSql =
  "select count(*), cast(json_group_array((referrer - ?1) * ?3 + reference) as blob) " +
  "from Refs where referrer >= ?1 and referrer <= ?2";

/**
 * Numbers of 32 bits are read in half the time: so many referrers at once as leave an edge's number below that, where it is more than
 * a few.
 */
const smallEdge = 2 ** 31;
const fewReferrers = 100;

function loadReferences(
  db: StoreDatabase,
  ids: Float64Array,
  indexOf: (id: number) => number,
  pause: () => void,
): Edges {
  const edges = edgeList(ids.length);
  const statement = db.statement(referencesSql);
  const readNumbers = numberReader();
  const radix = (ids[ids.length - 1] ?? 0) + 1;
  const small = Math.floor(smallEdge / radix);
  const size = small > fewReferrers ? Math.min(small, blockSize) : blockSize;
  const tidy = collectEvery(tidyEveryPaths);
  for (let first = 0, end = 0; first < ids.length; first = end) {
    end = Math.min(ids.length, first + size);
    while ((ids[end - 1]! - ids[first]! + 1) * radix > Number.MAX_SAFE_INTEGER) end = Math.ceil((first + end) / 2);
    const base = ids[first]!;
    const [count, text] = statement.row(base, ids[end - 1]!, radix)!;
    const block = readNumbers(text, Number(count));
    if (!isSorted(block)) block.sort(); // SQLite has chosen another index than the primary key's
    for (let i = 0; i < block.length; i++) {
      const edge = block[i]!;
      const referrer = Math.floor(edge / radix);
      const from = indexOf(base + referrer);
      const to = indexOf(edge - referrer * radix);
      // Rows of paths that are not there can only be of a database that was written without foreign keys.
      if (from >= 0 && to >= 0 && from !== to) edges.add(from, to);
    }
    pause();
    tidy(end - first);
  }
  return edges.finish();
}

function isSorted(block: Float64Array): boolean {
  for (let i = 1; i < block.length; i++) if (block[i]! < block[i - 1]!) return false;
  return true;
}

const outputsSql =
  "select count(*), cast(group_concat(drv) as blob), cast(group_concat(path) as blob) " +
  "from (select drv, path from DerivationOutputs where drv >= ?1 and drv <= ?2 order by drv)";

function loadOutputs(
  { db, storeDir }: GraphSource,
  { ids, names }: LoadedPaths,
  indexOf: (id: number) => number,
  pause: () => void,
): Edges {
  const edges = edgeList(ids.length);
  const statement = db.statement(outputsSql);
  const readNumbers = numberReader();
  const prefix = storeDir.length + 1;
  for (let first = 0; first < ids.length; first += blockSize) {
    const last = Math.min(ids.length, first + blockSize) - 1;
    const [count, drvText, pathText] = statement.row(ids[first]!, ids[last]!)!;
    const drvs = readNumbers(drvText, Number(count));
    const { bytes, ends } = textBlock(pathText, Number(count));
    let start = prefix;
    for (let i = 0; i < ends.length; i++) {
      const from = indexOf(drvs[i]!);
      const to = ends[i]! > start ? names.find(bytes, start, ends[i]!) : -1;
      if (from >= 0 && to >= 0 && from !== to) edges.add(from, to);
      start = ends[i]! + 1 + prefix;
    }
    pause();
  }
  return edges.finish();
}
