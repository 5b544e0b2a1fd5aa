/**
 * Making paths valid, and invalid again. What is registered in one call becomes valid in one transaction or not at all,
 * so that a crash leaves a closure whole.
 */
import { SiloError } from "../error.ts";
import { printContentAddress } from "../formats/content-address.ts";
import { type Derivation, knownOutputPath } from "../formats/derivation/derivation.ts";
import { checkDerivationOutputs } from "../formats/derivation/output-paths.ts";
import { printHash } from "../formats/hash.ts";
import { isDerivationPath, printStorePath, type StorePath } from "../formats/store-path.ts";
import { syncAll } from "../sys/descriptor.ts";
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
    for (const info of infos) idByPath.set(info.path, writeValidPath(store, info));
    writeReferences(store, infos, idByPath);
    for (const { path } of infos) {
      if (isDerivationPath(path)) registerDerivation(store, path, idByPath.get(path)!, derivations);
    }
    refuseCycles(store, infos);
  });
}

const ultimateColumn = (info: PathInfo) => (info.ultimate ? 1 : null);
const signaturesColumn = (info: PathInfo) => (info.signatures.length > 0 ? info.signatures.join(" ") : null);
const contentAddressColumn = (info: PathInfo) =>
  info.contentAddress === undefined ? null : printContentAddress(info.contentAddress);
const narSizeColumn = (info: PathInfo) => info.narSize ?? null;

/** The row's id. */
function writeValidPath(store: LocalStore, info: PathInfo): number {
  const path = showPath(store, info.path);
  const narHash = printHash(info.narHash, "base16");
  const known = store.db.statement("select id from ValidPaths where path = ?").row(path);
  if (known !== undefined) {
    store.db
      .statement("update ValidPaths set narSize = ?, hash = ?, ultimate = ?, sigs = ?, ca = ? where path = ?")
      .run(
        narSizeColumn(info),
        narHash,
        ultimateColumn(info),
        signaturesColumn(info),
        contentAddressColumn(info),
        path,
      );
    return Number(known[0]);
  }
  const row = store.db
    .statement(
      "insert into ValidPaths (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca) " +
        "values (?, ?, ?, ?, ?, ?, ?, ?) returning id",
    )
    .row(
      path,
      narHash,
      info.registrationTimeSec,
      info.deriver === undefined ? null : showPath(store, info.deriver),
      narSizeColumn(info),
      ultimateColumn(info),
      signaturesColumn(info),
      contentAddressColumn(info),
    );
  return Number(row![0]);
}

function writeReferences(store: LocalStore, infos: readonly PathInfo[], idByPath: Map<StorePath, number>): void {
  const find = store.db.statement("select id from ValidPaths where path = ?");
  const write = store.db.statement("insert or replace into Refs (referrer, reference) values (?, ?)");
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
      write.run(referrer, id);
    }
  }
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

/** New cycles can only go through new paths: their mutual references are all there is to look at. */
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
    const known = row[0] === null ? [] : String(row[0]).split(" ");
    const all = [...new Set([...known, ...signatures])].sort().join(" ");
    store.db.statement("update ValidPaths set sigs = ? where path = ?").run(all, showPath(store, path));
  });
}
