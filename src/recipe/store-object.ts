/** The objects that recipes hold: in a string they are their path; for us, they say which dependency they are. */
import { toText } from "../formats/byte-string.ts";
import { knownOutputPath } from "../formats/derivation/derivation.ts";
import { downstreamPlaceholder } from "../formats/make-store-path.ts";
import { nameOf, printStorePath, type StorePath } from "../formats/store-path.ts";
import type { Dependency, Evaluation, KnownDerivation } from "./evaluation.ts";
import { nearestName } from "./nearest-name.ts";
import { RecipeError } from "./recipe-error.ts";
import type { Derivation, Output, Source, StoreObject } from "./silo.d.ts";

/** Kept apart from the objects, so that nothing of ours shows in them. */
const dependencies = new WeakMap<object, Dependency>();

/** What an object of a recipe is; undefined for an object that no recipe function has made. */
export function dependencyOf(value: object): Dependency | undefined {
  return dependencies.get(value);
}

export function isStoreObject(value: unknown): value is StoreObject {
  return typeof value === "object" && value !== null && dependencies.has(value);
}

export function sourceObject(evaluation: Evaluation, path: StorePath): Source {
  const shown = printStorePath(evaluation.storeDir, path);
  return storeObject({ name: nameOf(path) }, shown, { kind: "source", path });
}

export function derivationObject(evaluation: Evaluation, known: KnownDerivation): Derivation {
  const { drv, file } = known;
  const outputs = new Map<string, Output>();
  const outputNames = [...drv.outputs.keys()];
  const fields = {
    name: drv.name,
    system: toText(drv.system),
    drvPath: printStorePath(evaluation.storeDir, file.path),
    outputNames,
    output: (name: string) => requireOutput(drv.name, outputs, name),
  };
  const main = outputNames[0]!;
  const derivation: Derivation = storeObject(fields, outputPath(evaluation, known, main), {
    kind: "output",
    drvPath: file.path,
    output: main,
  });
  for (const outputName of outputNames) {
    const output = storeObject({ outputName, derivation }, outputPath(evaluation, known, outputName), {
      kind: "output",
      drvPath: file.path,
      output: outputName,
    });
    outputs.set(outputName, output);
    if (!(outputName in derivation)) Object.defineProperty(derivation, outputName, { value: output });
  }
  return derivation;
}

function requireOutput(name: string, outputs: ReadonlyMap<string, Output>, wanted: string): Output {
  const output = outputs.get(wanted);
  if (output !== undefined) return output;
  const names = [...outputs.keys()];
  throw new RecipeError(
    `'${name}' has no output '${wanted}'${nearestName(wanted, names)}, it has: ${names.join(", ")}`,
  );
}

/** The path, or what stands for it where only the build can tell. */
function outputPath(evaluation: Evaluation, { drv, file }: KnownDerivation, output: string): string {
  const path = knownOutputPath(drv.outputs.get(output)!);
  return path === undefined ? downstreamPlaceholder(file.path, output) : printStorePath(evaluation.storeDir, path);
}

function storeObject<T extends object>(fields: T, path: string, dependency: Dependency): T & StoreObject {
  const show = () => path;
  const result: T & StoreObject = { ...fields, path, toString: show, toJSON: show };
  // Only data shows when somebody prints the object.
  for (const name of ["toString", "toJSON"]) Object.defineProperty(result, name, { enumerable: false });
  dependencies.set(result, dependency);
  return result;
}
