/**
 * A store, wherever it is: on this machine, behind a daemon, on another machine. The applets are written against this,
 * and {@link localStoreView} gives it for the local one. Operations block; realising and collecting are for the services.
 */
import type { SyncReader } from "../formats/codec.ts";
import type { StoreDir, StorePath } from "../formats/store-path.ts";
import { type AddOptions, addNar, addPath, addText } from "./add.ts";
import {
  type ClosureDirection,
  type ClosureEdges,
  computeClosure,
  computeSortedClosure,
  sortTopologically,
} from "./closure.ts";
import { exportPaths, type ItemSigner } from "./export.ts";
import { clearFailedPaths, queryFailedPaths } from "./failed-paths.ts";
import { importPaths, type ItemVerifier } from "./import.ts";
import { type LocalStore, realPath, showPath } from "./local-store.ts";
import { optimiseStore, type OptimiseStats } from "./optimise.ts";
import type { PathInfo } from "./path-info.ts";
import {
  isValidPath,
  queryAllValidPaths,
  queryDerivationOutputs,
  queryPathFromHashPart,
  queryPathInfo,
  queryPathInfos,
  queryReferrers,
  queryValidDerivers,
  queryValidPaths,
  requirePathInfo,
} from "./queries.ts";
import { addSignatures } from "./register.ts";
import { addIndirectRoot, addPermanentRoot } from "./roots.ts";
import { dumpTree } from "./tree/nar-hash.ts";
import type { PathFilter } from "./tree/walk.ts";
import { type Verdict, type VerifyOptions, verifyStore } from "./verify.ts";

export interface Store {
  readonly storeDir: StoreDir;
  /** The store itself when it is on this machine and open here: for what only its owner can do. */
  readonly local: LocalStore | undefined;

  isValidPath(path: StorePath): boolean;
  queryValidPaths(paths: Iterable<StorePath>): Set<StorePath>;
  queryAllValidPaths(): StorePath[];
  queryPathInfo(path: StorePath): PathInfo | undefined;
  /** @throws InvalidPath */
  requirePathInfo(path: StorePath): PathInfo;
  /** Of those that are valid. */
  queryPathInfos(paths: Iterable<StorePath>): Map<StorePath, PathInfo>;
  queryReferrers(path: StorePath): StorePath[];
  queryValidDerivers(path: StorePath): StorePath[];
  queryDerivationOutputs(drv: StorePath): Map<string, StorePath>;
  queryPathFromHashPart(hashPart: string): StorePath | undefined;
  /** Sorted by path. @throws InvalidPath */
  computeClosure(starts: Iterable<StorePath>, direction?: ClosureDirection, edges?: ClosureEdges): StorePath[];
  /** A path after what it refers to. @throws InvalidPath, CyclicReferences */
  computeSortedClosure(starts: Iterable<StorePath>, direction?: ClosureDirection, edges?: ClosureEdges): StorePath[];
  /** A path after what it refers to. @throws CyclicReferences */
  sortTopologically(paths: Iterable<StorePath>): StorePath[];
  queryFailedPaths(): StorePath[];
  clearFailedPaths(paths: readonly StorePath[] | "all"): void;

  addPath(source: string, options: AddOptions, filter?: PathFilter): StorePath;
  addNar(reader: SyncReader, options: AddOptions): StorePath;
  addText(name: string, contents: Uint8Array, references: readonly StorePath[]): StorePath;
  addSignatures(path: StorePath, signatures: readonly string[]): void;
  /** Hands on the NAR of a valid path. @throws InvalidPath */
  dumpPath(path: StorePath, onBytes: (chunk: Uint8Array) => void): void;
  exportPaths(paths: readonly StorePath[], onBytes: (chunk: Uint8Array) => void, sign?: ItemSigner): void;
  importPaths(reader: SyncReader, verify?: ItemVerifier, onPath?: (path: StorePath) => void): StorePath[];

  addTempRoots(paths: readonly StorePath[]): void;
  addIndirectRoot(root: string): void;
  addPermanentRoot(path: StorePath, root: string): void;
  verify(options: VerifyOptions): Verdict;
  optimise(onPath: (path: StorePath, index: number, count: number) => void): OptimiseStats;
  close(): void;
}

/** The local store behind the interface. */
export function localStoreView(local: LocalStore): Store {
  return {
    storeDir: local.storeDir,
    local,
    isValidPath: (path) => isValidPath(local, path),
    queryValidPaths: (paths) => queryValidPaths(local, paths),
    queryAllValidPaths: () => queryAllValidPaths(local),
    queryPathInfo: (path) => queryPathInfo(local, path),
    requirePathInfo: (path) => requirePathInfo(local, path),
    queryPathInfos: (paths) => queryPathInfos(local, paths),
    queryReferrers: (path) => queryReferrers(local, path),
    queryValidDerivers: (path) => queryValidDerivers(local, path),
    queryDerivationOutputs: (drv) => queryDerivationOutputs(local, drv),
    queryPathFromHashPart: (hashPart) => queryPathFromHashPart(local, hashPart),
    computeClosure: (starts, direction, edges) => computeClosure(local, starts, direction, edges),
    computeSortedClosure: (starts, direction, edges) => computeSortedClosure(local, starts, direction, edges),
    sortTopologically: (paths) => sortTopologically(local, paths),
    queryFailedPaths: () => queryFailedPaths(local),
    clearFailedPaths: (paths) => clearFailedPaths(local, paths),
    addPath: (source, options, filter) => addPath(local, source, options, filter),
    addNar: (reader, options) => addNar(local, reader, options),
    addText: (name, contents, references) => addText(local, name, contents, references),
    addSignatures: (path, signatures) => addSignatures(local, path, signatures),
    dumpPath(path, onBytes) {
      requirePathInfo(local, path);
      dumpTree(realPath(local, path), onBytes);
    },
    exportPaths: (paths, onBytes, sign) => exportPaths(local, paths, onBytes, sign),
    importPaths: (reader, verify, onPath) => importPaths(local, reader, verify, onPath),
    addTempRoots: (paths) => local.tempRoots.add(paths.map((path) => showPath(local, path))),
    addIndirectRoot: (root) => addIndirectRoot(local.stateDir, root),
    addPermanentRoot: (path, root) => addPermanentRoot(local, path, root),
    verify: (options) => verifyStore(local, options),
    optimise: (onPath) => optimiseStore(local, onPath),
    close: () => local.close(),
  };
}
