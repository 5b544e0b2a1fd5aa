/** Building and fetching, by a daemon. The work there ends when this process does, as the connection ends with it. */
import { toText } from "../../formats/byte-string.ts";
import { type DerivedPath, printDerivedPath } from "../../formats/derivation-outputs.ts";
import type { StorePath } from "../../formats/store-path.ts";
import { type BuildResult, type BuildStatus, isSuccess } from "../../formats/worker-protocol/build-result.ts";
import { operations, type WireSubstitutableInfo } from "../../formats/worker-protocol/operations.ts";
import type { BuildMode, BuildService, MissingPaths, TargetResult } from "../../store/build-service.ts";
import type { Store } from "../../store/store.ts";
import type { SubstitutablePathInfo } from "../../store/substituter.ts";
import { DaemonCannot, type DaemonConnection } from "./daemon-connection.ts";
import { DaemonFailure, plainText } from "./daemon-failure.ts";
import { estimateMissing } from "./estimate-missing.ts";

type Queries = Pick<Store, "queryValidPaths" | "queryDerivationOutputs" | "queryPathInfo">;

/** The protocol has each since then. */
const firstWithModes = 15;
const firstWithBatches = 12;
const firstWithMissing = 19;
const firstWithResults = 34;

export function daemonBuildService(connection: DaemonConnection, queries: Queries): BuildService {
  const { call, context } = connection;
  const { minor, storeDir } = context;

  function requireMode(mode: BuildMode): void {
    if (mode !== "normal" && minor < firstWithModes)
      throw new DaemonCannot(`cannot ${mode} through this daemon: it is too old`);
  }

  async function buildPathsWithResults(
    targets: readonly DerivedPath[],
    mode: BuildMode,
  ): Promise<readonly TargetResult[]> {
    requireMode(mode);
    if (minor >= firstWithResults) return call(operations.buildPathsWithResults, { targets, mode });
    call(operations.buildPaths, { targets, mode });
    return targets.map((target) => ({ target, result: success(queries, target) }));
  }

  async function querySubstitutablePaths(paths: readonly StorePath[]): Promise<ReadonlySet<StorePath>> {
    if (paths.length === 0) return new Set();
    if (minor >= firstWithBatches) return new Set(call(operations.querySubstitutablePaths, { paths }));
    return new Set(paths.filter((path) => call(operations.hasSubstitutes, { path })));
  }

  async function querySubstitutablePathInfos(
    paths: readonly StorePath[],
  ): Promise<ReadonlyMap<StorePath, SubstitutablePathInfo>> {
    const infos = new Map<StorePath, SubstitutablePathInfo>();
    if (minor >= firstWithBatches) {
      const addresses = new Map(paths.map((path) => [path, queries.queryPathInfo(path)?.contentAddress]));
      for (const [path, info] of call(operations.querySubstitutablePathInfos, { paths: addresses }))
        infos.set(path, fromWire(path, info));
      return infos;
    }
    for (const path of paths) {
      const info = call(operations.querySubstitutablePathInfo, { path });
      if (info !== undefined) infos.set(path, fromWire(path, info));
    }
    return infos;
  }

  return {
    buildPathsWithResults,
    async buildPaths(targets, mode) {
      const failed = (await buildPathsWithResults(targets, mode)).filter(({ result }) => !isSuccess(result.status));
      if (failed.length === 0) return;
      const lines = failed.map(({ target, result }) => {
        const reason = plainText(toText(result.errorMessage));
        return reason === ""
          ? `build of '${printDerivedPath(storeDir, target, "!")}' failed: ${result.status}`
          : reason;
      });
      throw new DaemonFailure(lines.join("\n"), exitStatusOf(failed.map(({ result }) => result.status)));
    },
    async buildDerivation(drvPath, derivation, mode) {
      requireMode(mode);
      if (minor < firstWithModes)
        throw new DaemonCannot("cannot build a derivation that is not in the store: the daemon is too old");
      return call(operations.buildDerivation, { derivation: { drvPath, derivation }, mode });
    },
    async ensurePath(path) {
      call(operations.ensurePath, { path });
    },
    async repairPath(path) {
      requireMode("repair");
      call(operations.buildPaths, { targets: [{ kind: "opaque", path }], mode: "repair" });
    },
    async queryMissing(targets): Promise<MissingPaths> {
      if (minor >= firstWithMissing) return call(operations.queryMissing, { targets });
      return estimateMissing(storeDir, targets, {
        ...queries,
        querySubstitutablePaths,
        querySubstitutablePathInfos,
      });
    },
    querySubstitutablePaths,
    querySubstitutablePathInfos,
  };
}

/** What Nix exits with: 100 for a build that fails, plus 1 when one took too long, 2 for a wrong hash, 4 when a check differs. */
function exitStatusOf(statuses: readonly BuildStatus[]): number {
  const has = (...wanted: BuildStatus[]) => statuses.some((status) => wanted.includes(status));
  const timedOut = has("timed-out");
  const wrongHash = has("output-rejected");
  let mask = 0;
  if (timedOut || wrongHash || has("permanent-failure", "cached-failure", "dependency-failed", "log-limit-exceeded"))
    mask |= 4;
  if (timedOut) mask |= 1;
  if (wrongHash) mask |= 2;
  if (has("not-deterministic")) mask |= 8;
  return mask === 0 ? 1 : mask | 0x60;
}

/** What is known of a build that an older daemon has not failed. */
function success(queries: Queries, target: DerivedPath): BuildResult {
  const outputs =
    target.kind === "built" ? queries.queryDerivationOutputs(target.drvPath) : new Map<string, StorePath>();
  const isWanted = (name: string) =>
    target.kind === "built" && (target.outputs.kind === "all" || target.outputs.names.has(name));
  return {
    status: "built",
    errorMessage: "" as BuildResult["errorMessage"],
    timesBuilt: 0,
    isNonDeterministic: false,
    startTimeSec: 0,
    stopTimeSec: 0,
    cpuUserUs: undefined,
    cpuSystemUs: undefined,
    builtOutputs: new Map(
      [...outputs]
        .filter(([name]) => isWanted(name))
        .map(([name, path]) => [name, { path, signatures: [], drvHash: undefined }]),
    ),
  };
}

function fromWire(path: StorePath, info: WireSubstitutableInfo): SubstitutablePathInfo {
  return {
    path,
    references: info.references,
    deriver: info.deriver,
    downloadSize: info.downloadSize === 0 ? undefined : info.downloadSize,
    narSize: info.narSize === 0 ? undefined : info.narSize,
    narHash: undefined,
    signatures: [],
    contentAddress: undefined,
  };
}
