/** Sources: what a recipe puts into the store before anything is built. The paths are those of Nix's `toFile` and `path`. */
import { SiloError } from "../error.ts";
import { fromText, toText } from "../formats/byte-string.ts";
import { hashBytes } from "../formats/hash.ts";
import { makeTextPath } from "../formats/make-store-path.ts";
import { canonicalPath } from "../formats/settings/canonical-path.ts";
import { nameFault, parseFullStorePath, type StorePath } from "../formats/store-path.ts";
import { computePathFor, recursiveSha256 } from "../store/add.ts";
import type { PathFilter } from "../store/tree/walk.ts";
import { checkOptions, describe } from "./check-options.ts";
import { checkedText } from "./coerce.ts";
import { type Evaluation, rememberSource } from "./evaluation.ts";
import { collectInputs } from "./inputs.ts";
import { RecipeError } from "./recipe-error.ts";

/** @throws RecipeError for contents that mention what has to be built */
export function makeText(evaluation: Evaluation, name: unknown, contents: unknown): StorePath {
  const named = checkSourceName("text", name);
  if (typeof contents !== "string")
    throw new RecipeError(`text '${named}': the contents must be a string, not ${describe(contents)}`);
  const inputs = collectInputs(evaluation);
  inputs.scan(contents);
  const { sources, derivations } = inputs.finish();
  const [built] = derivations.keys();
  if (built !== undefined) {
    const { name: needed } = evaluation.derivations.get(built)!.drv;
    throw new RecipeError(`text '${named}': mentions '${needed}', which has to be built first; use textFile`);
  }
  const bytes = textBytes(contents, named);
  const references = [...sources].sort();
  const path = makeTextPath(evaluation.storeDir, named, hashBytes("sha256", bytes), references);
  rememberSource(evaluation, { path, references, origin: { kind: "text", name: named, contents: bytes } });
  return path;
}

function textBytes(contents: string, name: string) {
  // A file may hold NUL characters, which variables may not.
  checkedText(contents.replaceAll("\0", ""), `text '${name}'`);
  return fromText(contents);
}

/** @param baseDir where relative paths begin; empty when it is not known. @throws RecipeError */
export function makePath(evaluation: Evaluation, baseDir: string, path: unknown, given: unknown = {}): StorePath {
  if (typeof path !== "string" || path === "") throw new RecipeError(`path: expected a path, not ${describe(path)}`);
  const options = checkOptions("path", given, { name: "string", filter: "function" }, []);
  if (!path.startsWith("/") && baseDir === "") {
    throw new RecipeError(`path ${describe(path)}: where it begins is not known; import silo at the top of the file`);
  }
  const file = canonicalPath(fromText(path.startsWith("/") ? path : `${baseDir}/${path}`))!;
  const absolute = toText(file);
  const name = checkSourceName("path", options["name"] ?? absolute.slice(absolute.lastIndexOf("/") + 1));
  const filter = treeFilter(file, options["filter"] as UserFilter | undefined);
  try {
    const computed = computePathFor(evaluation.storeDir, file, { name, method: recursiveSha256 }, filter).path;
    rememberSource(evaluation, { path: computed, references: [], origin: { kind: "tree", name, file, filter } });
    return computed;
  } catch (error) {
    if (!(error instanceof SiloError) || error instanceof RecipeError) throw error;
    const reason = error.code === "ENOENT" ? `there is no file '${absolute}'` : error.message;
    throw new RecipeError(`path ${describe(path)}: ${reason}`, undefined, { cause: error });
  }
}

/** @throws RecipeError */
export function makeStorePathSource(evaluation: Evaluation, path: unknown): StorePath {
  if (typeof path !== "string") throw new RecipeError(`storePath: expected a path, not ${describe(path)}`);
  try {
    const source = parseFullStorePath(evaluation.storeDir, fromText(path));
    rememberSource(evaluation, { path: source, references: [], origin: { kind: "present" } });
    return source;
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    throw new RecipeError(`storePath: ${error.message}`, undefined, { cause: error });
  }
}

type UserFilter = (path: string, kind: string) => unknown;

/** A recipe's filter sees paths that begin at the tree, so that where the tree lies makes no difference. */
function treeFilter(root: string, filter: UserFilter | undefined): PathFilter | undefined {
  if (filter === undefined) return undefined;
  return (path, kind) => {
    const answer = filter(toText(path.slice(root.length + 1)), kind);
    if (typeof answer === "boolean") return answer;
    throw new RecipeError(`path: the filter must return true or false, not ${describe(answer)}`);
  };
}

function checkSourceName(what: string, name: unknown): string {
  if (typeof name !== "string") throw new RecipeError(`${what}: the name must be a string, not ${describe(name)}`);
  const fault = nameFault(name);
  if (fault !== undefined) throw new RecipeError(`${what}: cannot be named ${describe(name)}: ${fault}`);
  return name;
}
