/**
 * `--force-realise`, and the derivations that queries look into: paths are made valid before they are used. What would have
 * to be built or fetched for that is refused here.
 */
import { SiloError } from "../../error.ts";
import { knownOutputPath } from "../../formats/derivation/derivation.ts";
import { isDerivationPath, printStorePath, type StorePath } from "../../formats/store-path.ts";
import type { Store } from "../../store/store.ts";
import { derivationOf } from "./derivation-of.ts";

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

/** @throws CannotRealise */
export function ensureValid(store: Store, path: StorePath): void {
  if (!store.isValidPath(path)) throw new CannotRealise(printStorePath(store.storeDir, path));
}

/** Of a derivation its outputs, of any other path the path itself, when all is valid. @throws CannotRealise */
export function realise(store: Store, path: StorePath): Realised[] {
  ensureValid(store, path);
  if (!isDerivationPath(path)) return [{ output: "out", path }];
  const known = store.queryDerivationOutputs(path);
  const results: Realised[] = [];
  for (const [output, declared] of derivationOf(store, path).outputs) {
    const outputPath = known.get(output) ?? knownOutputPath(declared);
    if (outputPath === undefined) throw new CannotRealise(`${printStorePath(store.storeDir, path)}!${output}`);
    ensureValid(store, outputPath);
    results.push({ output, path: outputPath });
  }
  return results;
}
