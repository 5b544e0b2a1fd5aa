/**
 * `--force-realise`, and the derivations that queries look into: paths are made valid, by building and fetching, before
 * they are used.
 */
import { SiloError } from "../../error.ts";
import { knownOutputPath } from "../../formats/derivation/derivation.ts";
import { allOutputs } from "../../formats/derivation-outputs.ts";
import { isDerivationPath, printStorePath, type StorePath } from "../../formats/store-path.ts";
import type { BuildService } from "../../store/build-service.ts";
import type { Store } from "../../store/store.ts";
import type { Session } from "../session.ts";
import { withBuilds } from "../store-builds.ts";
import { derivationOf } from "./derivation-of.ts";
import { printBuildFailure } from "./print-build-failure.ts";

export class CannotRealise extends SiloError {
  readonly code = "cannot-realise";
  constructor(readonly path: string) {
    super(`path '${path}' does not exist and cannot be created`);
  }
}

/** A realised path and the output of the derivation that it is; `out` for what was no derivation. */
export interface Realised {
  readonly output: string;
  readonly path: StorePath;
}

/** Building or fetching has failed; `tellFailure` has its words. */
export class RealisationFailed extends SiloError {
  readonly code = "realisation-failed";
  constructor(readonly failure: SiloError) {
    super(failure.message, { cause: failure });
  }
}

/** Fetches the path when it is not valid. @throws (rejects) RealisationFailed */
export async function ensureValid(session: Session, store: Store, path: StorePath): Promise<void> {
  if (!store.isValidPath(path)) await make(session, store, (builds, signal) => builds.ensurePath(path, signal));
}

/**
 * Builds or fetches what is not valid: of a derivation its outputs, of any other path the path itself.
 * @throws (rejects) RealisationFailed, CannotRealise
 */
export async function realise(session: Session, store: Store, path: StorePath): Promise<Realised[]> {
  await ensureValid(session, store, path);
  if (!isDerivationPath(path)) return [{ output: "out", path }];
  if (!outputsOf(store, path).every((output) => output.path !== undefined && store.isValidPath(output.path))) {
    const target = { kind: "built", drvPath: path, outputs: allOutputs } as const;
    await make(session, store, (builds, signal) => builds.buildPaths([target], "normal", signal));
  }
  return outputsOf(store, path).map(({ output, path: outputPath }) => {
    if (outputPath === undefined) throw new CannotRealise(`${printStorePath(store.storeDir, path)}!${output}`);
    return { output, path: outputPath };
  });
}

/** Runs `work` and tells of a realisation that fails in it. Returns the exit status. */
export async function tellFailure(session: Session, work: () => Promise<void>): Promise<number> {
  try {
    await work();
    return 0;
  } catch (error) {
    if (error instanceof RealisationFailed) return printBuildFailure(session.reporter, error.failure);
    throw error;
  }
}

type Make = (builds: BuildService, signal: AbortSignal) => Promise<void>;

function make(session: Session, store: Store, work: Make): Promise<void> {
  return withBuilds(session, store, async (builds, signal) => {
    try {
      await work(builds, signal);
    } catch (error) {
      if (!(error instanceof SiloError)) throw error;
      throw new RealisationFailed(error);
    }
  });
}

function outputsOf(store: Store, drvPath: StorePath): { output: string; path: StorePath | undefined }[] {
  const known = store.queryDerivationOutputs(drvPath);
  return Array.from(derivationOf(store, drvPath).outputs, ([output, declared]) => {
    return { output, path: known.get(output) ?? knownOutputPath(declared) };
  });
}
