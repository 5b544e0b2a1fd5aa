/** A daemon's store behind the `Store` interface. What the daemon's version cannot do in one request is made of others. */
import {
  DaemonCannot,
  type DaemonConnection,
  type DaemonConnectionOptions,
  connectToDaemon,
} from "./daemon-connection.ts";
import { type ByteString, fromText } from "../../formats/byte-string.ts";
import { knownOutputPath } from "../../formats/derivation/derivation.ts";
import { operations } from "../../formats/worker-protocol/operations.ts";
import { siloFailedPaths } from "../../formats/worker-protocol/version.ts";
import { printStorePath, type StorePath } from "../../formats/store-path.ts";
import type { BuildService } from "../../store/build-service.ts";
import type { CollectService } from "../../store/collect-service.ts";
import { noSavings } from "../../store/optimise.ts";
import { InvalidPath, type PathInfo } from "../../store/path-info.ts";
import { readDerivation } from "../../store/read-derivation.ts";
import { checkRootPlace, makeRootLink } from "../../store/roots.ts";
import type { Store } from "../../store/store.ts";
import { daemonBuildService } from "./daemon-build-service.ts";
import { daemonCollectService } from "./daemon-collect-service.ts";
import { daemonTransfers } from "./daemon-transfers.ts";
import { remoteClosures } from "./remote-closures.ts";

export interface DaemonStore extends Store {
  readonly build: BuildService;
  readonly collect: CollectService;
  /** What the other side is. */
  readonly connection: DaemonConnection;
}

/** Requests that versions of Nix before 2.0 do not have. */
const nix2 = 17;

/** The caller closes it. @throws SystemError when nobody listens, DaemonFailure when we are refused */
export function openDaemonStore(socketPath: string, options: DaemonConnectionOptions): DaemonStore {
  const connection = connectToDaemon(socketPath, options);
  const { call, callMany, context, close } = connection;
  const { storeDir, minor, features } = context;
  const showPath = (path: StorePath) => printStorePath(storeDir, path);

  function requireNix2(what: string): void {
    if (minor < nix2) throw new DaemonCannot(`cannot ${what} through this daemon: it is too old`);
  }

  const isValidPath = (path: StorePath) => call(operations.isValidPath, { path });

  function queryPathInfo(path: StorePath): PathInfo | undefined {
    if (minor < 17 && !isValidPath(path)) return undefined;
    const info = call(operations.queryPathInfo, { path });
    return info === undefined ? undefined : { path, ...info };
  }

  function requirePathInfo(path: StorePath): PathInfo {
    const info = queryPathInfo(path);
    if (info === undefined) throw new InvalidPath(showPath(path));
    return info;
  }

  function queryValidPaths(paths: Iterable<StorePath>): Set<StorePath> {
    const wanted = [...new Set(paths)];
    if (wanted.length === 0) return new Set();
    if (minor >= 12) return new Set(call(operations.queryValidPaths, { paths: wanted, substitute: false }));
    return new Set(wanted.filter(isValidPath));
  }

  function queryPathInfos(paths: Iterable<StorePath>): Map<StorePath, PathInfo> {
    const infos = new Map<StorePath, PathInfo>();
    const wanted = [...(minor >= 17 ? new Set(paths) : queryValidPaths(paths))];
    const requests = wanted.map((path) => ({ path }));
    for (const [i, info] of callMany(operations.queryPathInfo, requests).entries()) {
      const path = wanted[i]!;
      if (info !== undefined) infos.set(path, { path, ...info });
    }
    return infos;
  }

  /** Where there is no request for it, the file says it: a daemon is on the machine that the store is on. */
  function queryOutputs(drv: StorePath): Map<string, StorePath> {
    const outputs = new Map<string, StorePath>();
    if (minor >= 22) {
      for (const [name, path] of call(operations.queryDerivationOutputMap, { path: drv }))
        if (path !== undefined) outputs.set(name, path);
      return outputs;
    }
    for (const [name, output] of readDerivation(storeDir, storeDir, drv).outputs) {
      const path = knownOutputPath(output);
      if (path !== undefined) outputs.set(name, path);
    }
    return outputs;
  }

  function addTempRoots(paths: readonly StorePath[]): void {
    callMany(
      operations.addTempRoot,
      paths.map((path) => ({ path })),
    );
  }

  const knowsFailedPaths = minor < nix2 || features.has(siloFailedPaths);

  const queries = {
    isValidPath,
    queryValidPaths,
    queryAllValidPaths: () => [...call(operations.queryAllValidPaths, undefined)],
    queryPathInfo,
    requirePathInfo,
    queryPathInfos,
    queryReferrers: (path: StorePath) => [...call(operations.queryReferrers, { path })],
    queryValidDerivers: (path: StorePath) => [...call(operations.queryValidDerivers, { path })],
    queryDerivationOutputs: queryOutputs,
    queryPathFromHashPart: (hashPart: string) =>
      call(operations.queryPathFromHashPart, { hashPart: fromText(hashPart) }),
  };

  return {
    storeDir,
    local: undefined,
    connection,
    build: daemonBuildService(connection, queries),
    collect: daemonCollectService(connection),
    ...queries,
    ...remoteClosures(connection, queries),
    // Nix 2 has dropped them, so none has failed.
    queryFailedPaths: () => (knowsFailedPaths ? [...call(operations.queryFailedPaths, undefined)] : []),
    clearFailedPaths(paths) {
      if (!knowsFailedPaths) return;
      const names = paths === "all" ? ["*"] : paths.map(showPath);
      call(operations.clearFailedPaths, { paths: names.map(fromText) });
    },
    ...daemonTransfers(connection, queries),
    addSignatures(path, signatures) {
      requireNix2("add signatures");
      call(operations.addSignatures, { path, signatures: signatures.map(fromText) });
    },
    addTempRoots,
    addIndirectRoot: (root) => void call(operations.addIndirectRoot, { link: root as ByteString }),
    addPermanentRoot(path, root) {
      checkRootPlace(storeDir, root);
      addTempRoots([path]);
      makeRootLink(storeDir, showPath(path), root);
      call(operations.addIndirectRoot, { link: root as ByteString });
      call(operations.syncWithGc, undefined);
    },
    verify({ contents, repair }) {
      requireNix2("verify the store");
      const request = { checkContents: contents === "hash-contents", repair: repair !== undefined };
      return call(operations.verifyStore, request) ? "errors" : "good";
    },
    optimise() {
      requireNix2("optimise the store");
      call(operations.optimiseStore, undefined);
      return noSavings(); // it does not say
    },
    close,
  };
}
