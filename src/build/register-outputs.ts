/**
 * From what a builder left to valid paths: every output exists and is nobody else's, is read once, keeps to what the
 * derivation says of it, gets to its place, and is registered with the others in one transaction.
 */
import type { ContentAddress } from "../formats/content-address.ts";
import { contentAddressOf } from "../formats/content-address.ts";
import type { Derivation, DerivationOutput } from "../formats/derivation/derivation.ts";
import { equalHashes, printSri } from "../formats/hash.ts";
import { makeContentAddressedPath, ReferencesNotAllowed } from "../formats/make-store-path.ts";
import { hashPart, nameOf, type StorePath } from "../formats/store-path.ts";
import { SiloError } from "../error.ts";
import type { BuildMode } from "../store/build-service.ts";
import type { BuildUser } from "../store/builder-runner.ts";
import { type LocalStore, realPath, showPath } from "../store/local-store.ts";
import { openFileSharer } from "../store/optimise.ts";
import type { PathInfo } from "../store/path-info.ts";
import { tryLockPaths } from "../store/path-locks.ts";
import { isValidPath } from "../store/queries.ts";
import { registerValidPaths } from "../store/register.ts";
import { storeOwner } from "../store/store-owner.ts";
import type { CanonicaliseOptions } from "../store/tree/canonical-metadata.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { exists, rename } from "../sys/names.ts";
import { type Stat, tryLstat } from "../sys/stat.ts";
import { BuildFailure, HashMismatch } from "./build-failure.ts";
import { compareWithRegistered } from "./check-output.ts";
import type { DerivationAttributes } from "./derivation-attributes.ts";
import { checkOutputs } from "./output-checks.ts";
import type { OutputPlan, PlannedOutput } from "./output-plan.ts";
import { refuseOutputCycles } from "./output-cycles.ts";
import { replacePath } from "./replace-path.ts";
import { signPathInfo } from "./sign-path-info.ts";
import { takeOutput, type TakeOptions, type TakenOutput } from "./take-output.ts";

export interface BuiltDerivation {
  readonly store: LocalStore;
  readonly drvPath: StorePath;
  readonly drv: Derivation;
  readonly attributes: DerivationAttributes;
  readonly plan: OutputPlan;
  /** The closure of the inputs. */
  readonly inputs: readonly StorePath[];
  readonly user: BuildUser | undefined;
  readonly mode: BuildMode;
  readonly buildDir: string;
}

interface Output {
  readonly planned: PlannedOutput;
  readonly declared: DerivationOutput;
  readonly info: PathInfo;
}

/** Returns the infos of what was registered, or in check mode compared, by output name. @throws BuildFailure, SystemError */
export function registerOutputs(built: BuiltDerivation): Map<string, PathInfo> {
  const { store, plan, mode } = built;
  const wanted = plan.outputs.filter(({ purpose }) => purpose === "take");
  const canonical: CanonicaliseOptions = {
    owner: storeOwner(),
    builderUid: built.user?.uid,
    ignoredAttributes: new Set(store.settings.get("ignored-acls")),
    seen: new Set(),
  };
  for (const planned of wanted) inspectOutput(built, planned);
  const taken = wanted.map((planned) => readOutput(built, planned, canonical));
  refuseOutputCycles(
    showPath(store, built.drvPath),
    taken.map(({ planned, info }) => ({ name: planned.name, path: info.path, references: info.references })),
  );
  for (const output of taken) refuseWrongContents(built, output, canonical);
  const infos = new Map(taken.map(({ planned, info }) => [planned.name, signPathInfo(store, info)]));
  if (mode === "check") {
    for (const info of infos.values()) compareWithRegistered(built, info);
    return infos;
  }
  checkOutputs(store, built.attributes, infos);
  for (const { planned } of taken) moveIntoPlace(store, planned);
  registerValidPaths(store, [...infos.values()]);
  for (const { planned } of taken) deleteTree(`${realPath(store, planned.path)}.check`);
  return infos;
}

/** What can be said before reading it. */
function inspectOutput({ store, drvPath, drv, user }: BuiltDerivation, { name, result }: PlannedOutput): void {
  const actual = realPath(store, result);
  const status = tryLstat(actual);
  if (status === undefined) {
    const builder = `builder for '${showPath(store, drvPath)}'`;
    fail(`${builder} failed to produce output path for output '${name}' at '${actual}'`);
  }
  const groupOrWorldWrites = status.kind !== "symlink" && (status.mode & 0o022) !== 0;
  if (groupOrWorldWrites || (user !== undefined && status.uid !== user.uid)) {
    fail(`suspicious ownership or permission on '${actual}' for output '${name}'; rejecting this build output`);
  }
  const declared = drv.outputs.get(name)!;
  if (declared.kind === "fixed" && declared.method === "flat" && !isPlainFile(status)) {
    const reason = "since recursive hashing is not enabled (outputHashMode=flat)";
    fail(`output path '${actual}' should be a non-executable regular file ${reason}`);
  }
}

function isPlainFile({ kind, mode }: Stat): boolean {
  return kind === "regular" && (mode & 0o100) === 0;
}

/** Reads it: the one pass. */
function readOutput(built: BuiltDerivation, planned: PlannedOutput, canonical: CanonicaliseOptions): Output {
  const { store, plan, inputs, mode, drv } = built;
  const pathByHashPart = new Map(inputs.map((path) => [hashPart(path), path]));
  for (const { path } of plan.outputs) pathByHashPart.set(hashPart(path), path);
  // What is only compared, or goes to another place, must not share inodes with what is in `.links` for good.
  const sharer = store.settings.get("auto-optimise-store") && mode !== "check" ? openFileSharer(store) : undefined;
  const declared = drv.outputs.get(planned.name)!;
  try {
    const options: TakeOptions = {
      canonical,
      sharer,
      candidates: new Set(pathByHashPart.keys()),
      rewrites: plan.fromBuilder,
      place: declared.kind === "fixed" && built.user !== undefined ? "anew" : "as-it-is",
      content: contentOptions(declared, planned.inside),
    };
    const taken = orRejected(() => takeOutput(realPath(store, planned.result), options));
    return { planned, declared, info: makeInfo(built, planned, declared, taken, pathByHashPart) };
  } finally {
    sharer?.close();
  }
}

function contentOptions(declared: DerivationOutput, inside: StorePath): TakeOptions["content"] {
  if (declared.kind !== "fixed") return undefined;
  if (declared.method === "text")
    return fail("outputs hashed as text are an experimental feature of Nix, which silo has not");
  return { method: declared.method, algo: declared.hash.algo, selfHashPart: hashPart(inside) };
}

function makeInfo(
  { drvPath }: BuiltDerivation,
  { path }: PlannedOutput,
  declared: DerivationOutput,
  taken: TakenOutput,
  pathByHashPart: ReadonlyMap<string, StorePath>,
): PathInfo {
  return {
    path,
    narHash: taken.narHash,
    narSize: taken.narSize,
    references: [...taken.referencedHashParts].map((part) => pathByHashPart.get(part)!).sort(),
    deriver: drvPath,
    registrationTimeSec: Math.floor(Date.now() / 1000),
    ultimate: true,
    signatures: [],
    contentAddress: contentAddressFor(declared, taken),
  };
}

function contentAddressFor(declared: DerivationOutput, { contentHash }: TakenOutput): ContentAddress | undefined {
  if (declared.kind !== "fixed" || declared.method === "text" || contentHash === undefined) return undefined;
  return contentAddressOf({ kind: "fixed", method: declared.method, hashAlgo: contentHash.algo }, contentHash);
}

/** @throws HashMismatch when a fixed output has another hash, after registering it under the path that it really has */
function refuseWrongContents(built: BuiltDerivation, output: Output, canonical: CanonicaliseOptions): void {
  const { declared, info } = output;
  if (declared.kind !== "fixed" || info.contentAddress === undefined) return;
  const drvPath = showPath(built.store, built.drvPath);
  const actual = info.contentAddress.hash;
  if (!equalHashes(declared.hash, actual)) {
    if (built.mode !== "check") registerUnderRealPath(built, output, canonical);
    throw new HashMismatch(
      `hash mismatch in fixed-output derivation '${drvPath}':\n  specified: ${printSri(declared.hash)}\n     got:    ${printSri(actual)}`,
    );
  }
  const [first] = info.references;
  if (first === undefined) return;
  const shown = showPath(built.store, first);
  fail(
    `fixed-output derivations must not reference store paths: '${drvPath}' references ${info.references.length} distinct paths, e.g. '${shown}'`,
  );
}

/** So that whoever puts the right hash into the derivation need not fetch it again. */
function registerUnderRealPath(
  built: BuiltDerivation,
  { planned, info }: Output,
  canonical: CanonicaliseOptions,
): void {
  const { store } = built;
  const others = info.references.filter((reference) => reference !== info.path);
  const self = others.length < info.references.length ? "self" : "no-self";
  let path: StorePath;
  try {
    path = makeContentAddressedPath(store.storeDir, nameOf(info.path), info.contentAddress!, { others, self });
  } catch (error) {
    if (error instanceof ReferencesNotAllowed) return;
    throw error;
  }
  store.tempRoots.add([showPath(store, path)]);
  const locks = tryLockPaths([realPath(store, path)]);
  if (locks === undefined) return; // somebody makes it just now
  try {
    if (isValidPath(store, path)) return;
    let real: PathInfo = { ...info, path };
    if (self === "self") {
      const { narHash, narSize } = takeOutput(realPath(store, planned.result), {
        canonical: { ...canonical, builderUid: undefined },
        sharer: undefined,
        candidates: new Set(),
        rewrites: new Map([[hashPart(planned.inside), hashPart(path)]]),
        place: "as-it-is",
        content: undefined,
      });
      real = { ...real, narHash, narSize, references: [...others, path].sort() };
    }
    deleteTree(realPath(store, path));
    rename(realPath(store, planned.result), realPath(store, path));
    registerValidPaths(store, [signPathInfo(store, real)]);
  } finally {
    locks.release("delete");
  }
}

function moveIntoPlace(store: LocalStore, { path, result }: PlannedOutput): void {
  if (path === result) return;
  const destination = realPath(store, path);
  if (exists(destination)) replacePath(store, realPath(store, result), destination);
  else rename(realPath(store, result), destination);
}

/** What is wrong with the files of an output is the builder's fault. */
function orRejected<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof SiloError) || error instanceof BuildFailure) throw error;
    throw new BuildFailure("output-rejected", error.message, { cause: error });
  }
}

function fail(message: string): never {
  throw new BuildFailure("output-rejected", message);
}
