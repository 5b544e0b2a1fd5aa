/**
 * What one evaluation of recipes has made so far: every object, found by the part of its path that strings are searched for. Nothing
 * is written to any store.
 */
import type { ByteString } from "../formats/byte-string.ts";
import { type Derivation, type DerivationOutput, knownOutputPath } from "../formats/derivation/derivation.ts";
import { type DerivationFile, derivationFile } from "../formats/derivation/derivation-file.ts";
import { createModuloContext, type ModuloContext } from "../formats/derivation/hash-modulo.ts";
import { downstreamPlaceholder } from "../formats/make-store-path.ts";
import { hashPart, type StoreDir, type StorePath } from "../formats/store-path.ts";
import type { PathFilter } from "../store/tree/walk.ts";

/** How a source comes into the store. */
export type SourceOrigin =
  | { readonly kind: "text"; readonly name: string; readonly contents: ByteString }
  /** `file` is absolute; in bytes, as the filter's paths are. */
  | { readonly kind: "tree"; readonly name: string; readonly file: ByteString; readonly filter: PathFilter | undefined }
  /** It is there already. */
  | { readonly kind: "present" };

export interface KnownSource {
  readonly path: StorePath;
  /** Ascending. */
  readonly references: readonly StorePath[];
  readonly origin: SourceOrigin;
}

export interface KnownDerivation {
  readonly drv: Derivation;
  readonly file: DerivationFile;
  /** What each output is found by in strings: see {@link Evaluation.dependencies}. */
  readonly keys: ReadonlyMap<string, string>;
}

/** What a hash part or placeholder in a string stands for. */
export type Dependency =
  | { readonly kind: "source"; readonly path: StorePath }
  | { readonly kind: "output"; readonly drvPath: StorePath; readonly output: string }
  /** All that is needed to build it. */
  | { readonly kind: "derivation"; readonly drvPath: StorePath };

export interface Evaluation {
  readonly storeDir: StoreDir;
  /** What derivations are for when they do not say. */
  readonly system: string;
  readonly sources: Map<StorePath, KnownSource>;
  readonly derivations: Map<StorePath, KnownDerivation>;
  /** By hash part (32 characters), or by the placeholder (52 characters) of an output whose path is not known yet. */
  readonly dependencies: Map<string, Dependency>;
  readonly modulo: ModuloContext;
}

export function createEvaluation(storeDir: StoreDir, system: string): Evaluation {
  const derivations = new Map<StorePath, KnownDerivation>();
  const modulo = createModuloContext(storeDir, (drvPath) => derivations.get(drvPath)!.drv);
  return { storeDir, system, sources: new Map(), derivations, dependencies: new Map(), modulo };
}

export function rememberSource(evaluation: Evaluation, source: KnownSource): void {
  if (evaluation.sources.has(source.path)) return;
  evaluation.sources.set(source.path, source);
  const key = hashPart(source.path);
  // What a derivation makes may be the same as a source: strings mean whichever came first.
  if (!evaluation.dependencies.has(key)) evaluation.dependencies.set(key, { kind: "source", path: source.path });
}

/** `drv` has its output paths. The derivation that is known under its path already, if there is one. */
export function rememberDerivation(evaluation: Evaluation, drv: Derivation): KnownDerivation {
  const file = derivationFile(evaluation.storeDir, drv);
  const known = evaluation.derivations.get(file.path);
  if (known !== undefined) return known;
  const keys = new Map(Array.from(drv.outputs, ([id, output]) => [id, outputKey(file.path, id, output)]));
  const fresh = { drv, file, keys };
  evaluation.derivations.set(file.path, fresh);
  const { dependencies } = evaluation;
  dependencies.set(hashPart(file.path), { kind: "derivation", drvPath: file.path });
  for (const [output, key] of keys) {
    // Of two derivations that fetch the same contents, either will do: the first, so that it is always the same.
    if (!dependencies.has(key)) dependencies.set(key, { kind: "output", drvPath: file.path, output });
  }
  return fresh;
}

function outputKey(drvPath: StorePath, id: string, output: DerivationOutput): string {
  const path = knownOutputPath(output);
  return path === undefined ? downstreamPlaceholder(drvPath, id).slice(1) : hashPart(path);
}
