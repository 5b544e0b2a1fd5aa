/**
 * Loading a recipe: the user's TypeScript file runs in this process and finds the module "silo". What goes wrong in it is told as one
 * line with the place in the recipe.
 */
import { moduleLoader } from "#module-loader";
import { apiNames, createApi } from "./api.ts";
import { describe } from "./check-options.ts";
import type { Evaluation } from "./evaluation.ts";
import { RecipeError } from "./recipe-error.ts";

export const moduleName = "silo";

/** What a recipe exports, by name. */
export type RecipeExports = Readonly<Record<string, unknown>>;

/** The module that recipes import is one for the process, so this says for whom it works. */
let current: Evaluation | undefined;
let provided = false;

/**
 * The exports of the recipe at `file`, an absolute path. A file is loaded once in a process: an evaluation that is not the first one
 * must not load the same files again.
 * @throws RecipeError
 */
export async function loadRecipe(evaluation: Evaluation, file: string): Promise<RecipeExports> {
  // Runtimes take the rest of the name for a query.
  if (file.includes("?")) throw new RecipeError(`cannot load ${describe(file)}: its path contains a question mark`);
  current = evaluation;
  if (!provided) {
    moduleLoader.provide({
      specifier: moduleName,
      names: apiNames,
      exportsFor: (importer) => ({ ...createApi(current!, importer) }),
    });
    provided = true;
    // Standard output is for results.
    console.log = console.info = console.debug = console.error;
  }
  return guarded(file, () => moduleLoader.load(file));
}

/** Runs code of a recipe. @param file the recipe to blame when nothing says where the failure is. @throws RecipeError */
export async function guarded<T>(file: string, run: () => T | Promise<T>): Promise<T> {
  const { promise: stuck, reject } = Promise.withResolvers<never>();
  // The runtime has nothing left to do, and would leave without a word.
  const onIdle = () =>
    reject(new RecipeError("waits for what never happens", { file, line: undefined, column: undefined }));
  process.once("beforeExit", onIdle);
  try {
    return await Promise.race([run(), stuck]);
  } catch (error) {
    const { explainRecipeFailure } = await import("./explain-failure.ts");
    throw explainRecipeFailure(error, file);
  } finally {
    process.off("beforeExit", onIdle);
  }
}
