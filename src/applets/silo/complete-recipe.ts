/** What can follow `#` on a command line: the attributes of a recipe, which is evaluated for it. */
import { SiloError } from "../../error.ts";
import { type ByteString, fromText, toText } from "../../formats/byte-string.ts";
import { directoriesFromEnvironment } from "../../store/directories.ts";
import { machineFacts } from "../../store/machine-facts.ts";
import { tryStat } from "../../sys/stat.ts";
import type { Io } from "../io.ts";
import { absolutePath } from "../path-argument.ts";
import { defaultRecipe } from "../recipe-session.ts";

/** Commands whose operands may be recipes. */
export const recipeCommands: ReadonlySet<string> = new Set(["build", "run", "shell"]);

/** Lists the targets that begin with `word`, such as `./silo.ts#he`; false when it names no recipe. */
export async function completeRecipe(word: ByteString, io: Io): Promise<boolean> {
  const hash = word.indexOf("#");
  if (hash < 0) return false;
  const place = word.slice(0, hash) as ByteString;
  const path = absolutePath(place === "" ? ("." as ByteString) : place);
  const file = tryStat(path)?.kind === "directory" ? (`${path}/${defaultRecipe}` as ByteString) : path;
  const begun = toText(word.slice(hash + 1) as ByteString);
  const parents = begun.slice(0, begun.lastIndexOf(".") + 1);
  try {
    for (const name of await membersOf(toText(file), parents, io)) {
      if (`${parents}${name}`.startsWith(begun)) io.out(`${place}#${fromText(parents + name)}\n`);
    }
  } catch (error) {
    if (!(error instanceof SiloError)) throw error; // a recipe with a mistake in it has nothing to offer
  }
  return true;
}

/** @param parents `` or `name.name.` @throws RecipeError */
async function membersOf(file: string, parents: string, io: Io): Promise<string[]> {
  const [{ loadRecipe }, { attributeNames }, { createEvaluation }] = await Promise.all([
    import("../../recipe/load-recipe.ts"),
    import("../../recipe/select.ts"),
    import("../../recipe/evaluation.ts"),
  ]);
  const { storeDir, confDir } = directoriesFromEnvironment(io.env);
  const { system } = machineFacts(io.env, confDir);
  let value: unknown = await loadRecipe(createEvaluation(storeDir, system), file);
  for (const name of parents.split(".").slice(0, -1)) {
    if (typeof value !== "object" || value === null) return [];
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  if (typeof value !== "object" || value === null) return [];
  return attributeNames(value).filter((name) => name !== "default");
}
