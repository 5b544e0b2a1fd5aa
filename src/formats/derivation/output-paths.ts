/**
 * The output paths of a derivation, which follow from it: computing them for a new derivation, and checking those that a `.drv` file
 * states. The check is what keeps anybody from claiming another package's path: it must pass before a derivation is registered.
 */
import type { ByteString } from "../byte-string.ts";
import { derivationName, makeOutputPath, outputPlaceholder } from "../make-store-path.ts";
import { printStorePath, type StoreDir, type StorePath } from "../store-path.ts";
import {
  BadDerivation,
  type Derivation,
  type DerivationOutput,
  derivationKind,
  IncorrectOutput,
} from "./derivation.ts";
import { fixedOutputPath } from "./fixed-output-path.ts";
import { hashMasked, type ModuloContext, type ModuloHash } from "./hash-modulo.ts";

/**
 * Compares every output path, and the variable named after the output, with what follows from the derivation.
 * @throws IncorrectOutput; BadDerivation for a mixture of kinds or another derivation's file name
 */
export function checkDerivationOutputs(context: ModuloContext, drvPath: StorePath, drv: Derivation): void {
  const fullPath = printStorePath(context.dir, drvPath);
  if (derivationName(drvPath) !== drv.name)
    throw new BadDerivation(drv.name, undefined, `is in the file ${JSON.stringify(fullPath)} of another name`);
  checkOutputs(context.dir, fullPath, drv, computeOutputPaths(context, drv));
}

/** The path of each output that can be known before the build. @throws BadDerivation, BadStorePath */
export function computeOutputPaths(context: ModuloContext, drv: Derivation): Map<string, StorePath> {
  const paths = new Map<string, StorePath>();
  const kind = derivationKind(drv);
  const modulo = kind === "input-addressed" || kind === "deferred" ? hashMasked(context, drv) : undefined;
  for (const [id, output] of drv.outputs) {
    const path = computeOutputPath(context.dir, drv.name, id, output, modulo);
    if (path !== undefined) paths.set(id, path);
  }
  return paths;
}

/**
 * A new derivation with its paths put in: deferred outputs become input-addressed unless an input's path is unknown, and a variable named
 * after an output that is missing or empty gets the path, or the placeholder of an output that only the build can know.
 * @throws IncorrectOutput for a path or variable that states something else
 */
export function fillOutputs(context: ModuloContext, drv: Derivation): Derivation {
  const env = new Map(drv.env);
  // The variables count in the masked hash, as empty ones, so they must be there before it is computed.
  for (const id of drv.outputs.keys()) env.set(id as ByteString, env.get(id as ByteString) ?? ("" as ByteString));
  const paths = computeOutputPaths(context, { ...drv, env });
  const outputs = new Map<string, DerivationOutput>();
  for (const [id, output] of drv.outputs) {
    const path = paths.get(id);
    outputs.set(id, output.kind === "deferred" && path !== undefined ? { kind: "input-addressed", path } : output);
    const value =
      path !== undefined ? printStorePath(context.dir, path) : output.kind === "deferred" ? "" : outputPlaceholder(id);
    const key = id as ByteString;
    if (env.get(key) === "") env.set(key, value as ByteString);
  }
  const filled: Derivation = { ...drv, outputs, env };
  checkOutputs(context.dir, drv.name, filled, paths);
  return filled;
}

/** `paths` are those that follow from the derivation. */
function checkOutputs(dir: StoreDir, described: string, drv: Derivation, paths: ReadonlyMap<string, StorePath>): void {
  for (const [id, output] of drv.outputs) {
    // Deferred outputs whose path could be known by now are legal, as in Nix: filling them in makes another derivation.
    if (output.kind !== "input-addressed" && output.kind !== "fixed") continue;
    const path = paths.get(id);
    const stated = printStorePath(dir, output.path);
    if (path === undefined) throw new IncorrectOutput(described, id, "output", stated, "deferred");
    const expected = printStorePath(dir, path);
    if (stated !== expected) throw new IncorrectOutput(described, id, "output", stated, expected);
    const variable = drv.env.get(id as ByteString);
    if (variable !== expected) throw new IncorrectOutput(described, id, "environment variable", variable, expected);
  }
}

function computeOutputPath(
  dir: StoreDir,
  name: string,
  id: string,
  output: DerivationOutput,
  modulo: ModuloHash | undefined,
): StorePath | undefined {
  if (output.kind === "fixed") return fixedOutputPath(dir, name, id, output.method, output.hash);
  return modulo?.kind === "regular" ? makeOutputPath(dir, name, id, modulo.hash) : undefined;
}
