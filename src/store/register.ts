/**
 * Making paths valid, and invalid again. What is registered in one call becomes valid in one transaction or not at all,
 * so that a crash leaves a closure whole.
 */
import { SiloError } from "../error.ts";
import { printContentAddress } from "../formats/content-address.ts";
import { type Derivation, knownOutputPath } from "../formats/derivation/derivation.ts";
import { checkDerivationOutputs } from "../formats/derivation/output-paths.ts";
import { printHash } from "../formats/hash.ts";
import { makeContentAddressedPath } from "../formats/make-store-path.ts";
import { isDerivationPath, nameOf, printStorePath, type StorePath } from "../formats/store-path.ts";
import { syncAll } from "../sys/descriptor.ts";
import { computeSortedClosure } from "./closure.ts";
import { type LocalStore, showPath } from "./local-store.ts";
import { InvalidPath, type PathInfo } from "./path-info.ts";
import { queryReferrers } from "./queries.ts";
import { readDerivation } from "./read-derivation.ts";
import { topologicalOrder } from "./topological-order.ts";

/** `trusted` skips the check of derivations' outputs: for databases that were checked when first written. */
export type DerivationCheck = "check" | "trusted";

/**
 * Registers paths as valid, or updates those that are: hash, size, signatures and references. References must be valid
 * already or part of the call. On return the rows survive a crash of this process; with `sync-before-registering` the
 * files have been flushed to disk before.
 * @throws InvalidPath for a reference that is not valid; CyclicReferences; IncorrectOutput for a derivation that claims
 *   an output path not its own. Nothing was written then.
 */
export function registerValidPaths(
  store: LocalStore,
  infos: readonly PathInfo[],
  derivations: DerivationCheck = "check",
): void {
  if (infos.length === 0) return;
  if (store.settings.get("sync-before-registering")) syncAll();
  store.db.transaction(() => {
    const idByPath = new Map<StorePath, number>();
    const lastId = Number(store.db.statement("select max(id) from ValidPaths").row()?.[0] ?? 0);
    for (const info of infos) {
      const id = writeValidPath(store, info);
      idByPath.set(info.path, id);
      if (id > lastId && info.contentAddress !== undefined) checkContentAddress(store, info);
    }
    const grown = writeReferences(store, infos, idByPath, lastId);
    for (const { path } of infos) {
      if (isDerivationPath(path)) registerDerivation(store, path, idByPath.get(path)!, derivations);
    }
    refuseCycles(store, infos);
    for (const path of grown) refuseCycleThrough(store, path);
  });
}

/** A path that claims a content address from which another path follows. */
export class NotContentAddressed extends SiloError {
  readonly code = "not-content-addressed";
  constructor(
    readonly path: string,
    readonly contentAddress: string,
  ) {
    super(
      `cannot add path '${path}' to the Nix store because it claims to be content-addressed by '${contentAddress}' but isn't`,
    );
  }
}

function checkContentAddress({ storeDir }: LocalStore, { path, references, contentAddress }: PathInfo): void {
  const others = references.filter((reference) => reference !== path);
  const self = others.length < references.length ? "self" : "no-self";
  if (makeContentAddressedPath(storeDir, nameOf(path), contentAddress!, { others, self }) === path) return;
  throw new NotContentAddressed(printStorePath(storeDir, path), printContentAddress(contentAddress!));
}

const ultimateColumn = (info: PathInfo) => (info.ultimate ? 1 : null);
const signaturesColumn = (info: PathInfo) => (info.signatures.length > 0 ? info.signatures.join(" ") : null);
const contentAddressColumn = (info: PathInfo) =>
  info.contentAddress === undefined ? null : printContentAddress(info.contentAddress);
const narSizeColumn = (info: PathInfo) => info.narSize ?? null;

/** A path that is valid keeps its registration time and its deriver. */
const writePathSql =
  "insert into ValidPaths (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca) " +
  "values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (path) do update set narSize = excluded.narSize, " +
  "hash = excluded.hash, ultimate = excluded.ultimate, sigs = excluded.sigs, ca = excluded.ca returning id";

/** The row's id. */
function writeValidPath(store: LocalStore, info: PathInfo): number {
  const row = store.db
    .statement(writePathSql)
    .row(
      showPath(store, info.path),
      printHash(info.narHash, "base16"),
      info.registrationTimeSec,
      info.deriver === undefined ? null : showPath(store, info.deriver),
      narSizeColumn(info),
      ultimateColumn(info),
      signaturesColumn(info),
      contentAddressColumn(info),
    );
  return Number(row![0]);
}

/** The paths that were valid before, with ids up to `lastId`, and now refer to more. */
function writeReferences(
  store: LocalStore,
  infos: readonly PathInfo[],
  idByPath: Map<StorePath, number>,
  lastId: number,
): Set<StorePath> {
  const find = store.db.statement("select id from ValidPaths where path = ?");
  const write = store.db.statement("insert or ignore into Refs (referrer, reference) values (?, ?)");
  const grown = new Set<StorePath>();
  for (const info of infos) {
    const referrer = idByPath.get(info.path)!;
    for (const reference of info.references) {
      let id = idByPath.get(reference);
      if (id === undefined) {
        const row = find.row(printStorePath(store.storeDir, reference));
        if (row === undefined) throw new InvalidPath(showPath(store, reference));
        id = Number(row[0]);
        idByPath.set(reference, id);
      }
      const isNew = write.run(referrer, id) > 0;
      if (isNew && referrer <= lastId && id !== referrer) grown.add(info.path);
    }
  }
  return grown;
}

function registerDerivation(store: LocalStore, drvPath: StorePath, id: number, check: DerivationCheck): void {
  const drv = readDerivation(store.storeDir, store.realStoreDir, drvPath);
  if (check === "check") checkDerivationOutputs(store.modulo, drvPath, drv);
  writeDerivationOutputs(store, id, drv);
}

function writeDerivationOutputs(store: LocalStore, id: number, drv: Derivation): void {
  const statement = store.db.statement("insert or replace into DerivationOutputs (drv, id, path) values (?, ?, ?)");
  for (const [name, output] of drv.outputs) {
    const path = knownOutputPath(output);
    if (path !== undefined) statement.run(id, name, showPath(store, path));
  }
}

/** No path that was valid refers to a new one: the mutual references of the new ones are all there is to look at. */
function refuseCycles(store: LocalStore, infos: readonly PathInfo[]): void {
  const positionByPath = new Map(infos.map(({ path }, position) => [path, position]));
  const references = infos.map((info) =>
    info.references.flatMap((reference) => {
      const position = positionByPath.get(reference);
      return position === undefined ? [] : [position];
    }),
  );
  topologicalOrder(references, (position) => showPath(store, infos[position]!.path));
}

/** A path that was valid, and may have referrers of old, has got new references. */
function refuseCycleThrough(store: LocalStore, path: StorePath): void {
  computeSortedClosure(store, [path]);
}

/** A path that cannot be invalidated, as others need it. */
export class PathInUse extends SiloError {
  readonly code = "path-in-use";
  constructor(
    readonly path: string,
    readonly referrers: readonly string[],
  ) {
    super(`cannot delete path '${path}' because it is in use by ${referrers.map((each) => `'${each}'`).join(", ")}`);
  }
}

/** Makes a path invalid; nothing happens to its files. @throws PathInUse */
export function invalidatePath(store: LocalStore, path: StorePath): void {
  store.db.transaction(() => {
    const referrers = queryReferrers(store, path).filter((referrer) => referrer !== path);
    if (referrers.length > 0)
      throw new PathInUse(
        showPath(store, path),
        referrers.map((each) => showPath(store, each)),
      );
    store.db.statement("delete from ValidPaths where path = ?").run(showPath(store, path));
  });
  store.modulo.memo.delete(path);
}

/** Adds signatures to a valid path, keeping those it has. */
export function addSignatures(store: LocalStore, path: StorePath, signatures: readonly string[]): void {
  store.db.transaction(() => {
    const row = store.db.statement("select sigs from ValidPaths where path = ?").row(showPath(store, path));
    if (row === undefined) throw new InvalidPath(showPath(store, path));
    const known = String(row[0] ?? "").split(" ");
    const all = [...new Set([...known, ...signatures])]
      .filter((signature) => signature !== "")
      .sort()
      .join(" ");
    if (all === "") return;
    store.db.statement("update ValidPaths set sigs = ? where path = ?").run(all, showPath(store, path));
  });
}
