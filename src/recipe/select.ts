/** Finding what to build among a recipe's exports: `name`, `name.part`, or the default export. */
import type { StorePath } from "../formats/store-path.ts";
import { describe } from "./check-options.ts";
import { guarded, type RecipeExports } from "./load-recipe.ts";
import { nearestName } from "./nearest-name.ts";
import { RecipeError } from "./recipe-error.ts";
import { dependencyOf, isStoreObject } from "./store-object.ts";

/** What is to be built, or only put into the store. */
export type Selected =
  | { readonly kind: "source"; readonly path: StorePath }
  /** `output` is undefined for all of them. */
  | { readonly kind: "derivation"; readonly drvPath: StorePath; readonly output: string | undefined };

/**
 * @param attribute export and members, separated by dots; undefined for the default export. Functions on the way are called.
 * @throws RecipeError
 */
export async function selectFrom(
  exports: RecipeExports,
  file: string,
  attribute: string | undefined,
): Promise<Selected> {
  const place = { file, line: undefined, column: undefined };
  if (attribute === undefined && !("default" in exports)) {
    throw new RecipeError(`has no default export; ${listOf(exports, file)}`, place);
  }
  let value: unknown = exports;
  let shown = "";
  for (const name of (attribute ?? "default").split(".")) {
    if (typeof value !== "object" || value === null || !(name in value)) {
      const names = typeof value === "object" && value !== null ? attributeNames(value) : [];
      const among = shown === "" ? listOf(exports, file) : `'${shown}' has: ${names.join(", ") || "nothing"}`;
      throw new RecipeError(`there is no '${shown}${shown && "."}${name}'${nearestName(name, names)}; ${among}`, place);
    }
    shown += `${shown && "."}${name}`;
    value = await settle(file, (value as Readonly<Record<string, unknown>>)[name]);
  }
  return selectedOf(value, shown, place.file);
}

/** Every attribute that can be built, in the order of the exports: for completion. Nothing is called. */
export function attributeNames(exports: object): string[] {
  if (isStoreObject(exports)) return "outputNames" in exports ? [...(exports.outputNames as string[])] : [];
  return Object.keys(exports).filter((name) => name !== "__esModule");
}

async function settle(file: string, value: unknown): Promise<unknown> {
  if (typeof value === "function") return guarded(file, () => (value as () => unknown)());
  return value instanceof Promise ? guarded(file, () => value as Promise<unknown>) : value;
}

function selectedOf(value: unknown, shown: string, file: string): Selected {
  const dependency = typeof value === "object" && value !== null ? dependencyOf(value) : undefined;
  if (dependency === undefined) {
    const what = shown === "default" ? "the default export" : `'${shown}'`;
    const names = typeof value === "object" && value !== null ? attributeNames(value) : [];
    const hint =
      names.length > 0 ? `; it has: ${names.join(", ")}` : "; expected what derivation, shellBuild and so on give";
    throw new RecipeError(`${what} is ${describe(value)}, which cannot be built${hint}`, {
      file,
      line: undefined,
      column: undefined,
    });
  }
  if (dependency.kind === "source") return dependency;
  const output = dependency.kind === "output" && "outputName" in (value as object) ? dependency.output : undefined;
  return { kind: "derivation", drvPath: dependency.drvPath, output };
}

function listOf(exports: RecipeExports, file: string): string {
  const names = attributeNames(exports).filter((name) => name !== "default");
  if (names.length === 0) return "it exports nothing else; write 'export default …'";
  return `it exports: ${names.join(", ")} (write ${file.slice(file.lastIndexOf("/") + 1)}#${names[0]})`;
}
