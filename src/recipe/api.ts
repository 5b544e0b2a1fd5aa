/**
 * The module "silo" as recipes import it. What it promises is written down in silo.d.ts, which users get: the types keep the two together.
 * Each file that imports it gets its own, for which relative paths begin at the file's directory.
 */
import { outputPlaceholder } from "../formats/make-store-path.ts";
import { describe } from "./check-options.ts";
import type { Evaluation, KnownDerivation } from "./evaluation.ts";
import { makeFetchTarball, makeFetchurl, makeUnpack } from "./fetch.ts";
import { makeDerivation } from "./make-derivation.ts";
import { makePath, makeStorePathSource, makeText } from "./make-source.ts";
import { RecipeError } from "./recipe-error.ts";
import type * as Silo from "./silo.d.ts";
import { hostPaths, makeRunCommand, makeShellBuild, makeTextFile } from "./standard-environment.ts";
import { derivationObject, sourceObject } from "./store-object.ts";

export type RecipeApi = typeof Silo;

/** The names that the module exports, as far as they are values. */
export const apiNames = [
  "currentSystem",
  "derivation",
  "fetchTarball",
  "fetchurl",
  "hostPaths",
  "out",
  "path",
  "placeholder",
  "runCommand",
  "shellBuild",
  "storePath",
  "text",
  "textFile",
  "unpack",
] as const satisfies readonly (keyof RecipeApi)[];

/** @param file the absolute path of the recipe that imports the module; empty when that is not known */
export function createApi(evaluation: Evaluation, file: string): RecipeApi {
  const baseDir = file.slice(0, file.lastIndexOf("/"));
  const show = <T extends Silo.Derivation>(known: KnownDerivation) => derivationObject(evaluation, known) as T;
  return {
    currentSystem: evaluation.system,
    hostPaths,
    out: outputPlaceholder("out"),
    placeholder(output) {
      if (typeof output === "string" && output !== "") return outputPlaceholder(output);
      throw new RecipeError(`placeholder: expected the name of an output, not ${describe(output)}`);
    },
    derivation: (options) => show(makeDerivation(evaluation, options)),
    text: (name, contents) => sourceObject(evaluation, makeText(evaluation, name, contents)),
    textFile: (name, contents, options) => show(makeTextFile(evaluation, name, contents, options)),
    path: (path, options) => sourceObject(evaluation, makePath(evaluation, baseDir, path, options)),
    storePath: (path) => sourceObject(evaluation, makeStorePathSource(evaluation, path)),
    fetchurl: (options) => show(makeFetchurl(evaluation, options)),
    fetchTarball: (options) => show(makeFetchTarball(evaluation, options)),
    unpack: (archive, options) => show(makeUnpack(evaluation, archive, options)),
    runCommand: (name, script, options) => show(makeRunCommand(evaluation, name, script, options)),
    shellBuild: (options) => show(makeShellBuild(evaluation, options)),
  };
}
