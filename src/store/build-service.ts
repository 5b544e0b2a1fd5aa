/**
 * Making paths valid by building or fetching them, as whoever serves or asks for it sees it: the scheduler does it here, a
 * daemon's client has it done there. An interface, so that neither knows the other.
 */
import type { BasicDerivation } from "../formats/derivation/derivation.ts";
import type { DerivedPath } from "../formats/derivation-outputs.ts";
import type { StorePath } from "../formats/store-path.ts";
import type { BuildResult } from "../formats/worker-protocol/build-result.ts";
import type { SubstitutablePathInfo } from "./substituter.ts";

/** `repair` makes again what is damaged, `check` builds what is there already and compares. */
export type BuildMode = "normal" | "repair" | "check";

/** What making some targets valid would take. Sizes in bytes, as far as they are known. */
export interface MissingPaths {
  /** Derivations. */
  readonly willBuild: readonly StorePath[];
  /** Paths that substituters have. */
  readonly willSubstitute: readonly StorePath[];
  /** Neither: nobody knows how to make them. */
  readonly unknown: readonly StorePath[];
  readonly downloadSize: number;
  readonly narSize: number;
}

export interface TargetResult {
  readonly target: DerivedPath;
  readonly result: BuildResult;
}

/** Everything is aborted, with its processes gone, soon after `signal` is; the promise rejects then. */
export interface BuildService {
  /** @throws (rejects) a SiloError with the exit status that Nix gives the failure: 1, 100, 101, 102 or 104 */
  buildPaths(targets: readonly DerivedPath[], mode: BuildMode, signal: AbortSignal): Promise<void>;
  /** One result a target, in their order; a build that fails is a result and no rejection. */
  buildPathsWithResults(
    targets: readonly DerivedPath[],
    mode: BuildMode,
    signal: AbortSignal,
  ): Promise<readonly TargetResult[]>;
  /** A derivation whose file need not be in the store; its input sources must be valid. */
  buildDerivation(
    drvPath: StorePath,
    derivation: BasicDerivation,
    mode: BuildMode,
    signal: AbortSignal,
  ): Promise<BuildResult>;
  /** Makes a path valid by fetching it when it is not. */
  ensurePath(path: StorePath, signal: AbortSignal): Promise<void>;
  /** Fetches or builds again a valid path whose contents are damaged. */
  repairPath(path: StorePath, signal: AbortSignal): Promise<void>;
  queryMissing(targets: readonly DerivedPath[]): Promise<MissingPaths>;
  /** Those that a substituter has. */
  querySubstitutablePaths(paths: readonly StorePath[]): Promise<ReadonlySet<StorePath>>;
  querySubstitutablePathInfos(paths: readonly StorePath[]): Promise<ReadonlyMap<StorePath, SubstitutablePathInfo>>;
}
