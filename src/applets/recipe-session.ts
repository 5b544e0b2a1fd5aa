/**
 * What commands build, as people say it: recipes (`./silo.ts#name`, `#name`, a directory with a `silo.ts`), derivations and paths in
 * the store. Recipes are evaluated before any store is opened.
 */
import { SiloError } from "../error.ts";
import { type ByteString, fromText, toText } from "../formats/byte-string.ts";
import {
  allOutputs,
  type DerivedPath,
  splitOutputsSpecifier,
  type WantedOutputs,
} from "../formats/derivation-outputs.ts";
import { fromCommandLine } from "../formats/settings/source.ts";
import { withSettings } from "../formats/settings/settings.ts";
import { isDerivationPath, isInStore, type StoreDir, type StorePath } from "../formats/store-path.ts";
import { createEvaluation, type Evaluation } from "../recipe/evaluation.ts";
import { instantiate } from "../recipe/instantiate.ts";
import type { Store } from "../store/store.ts";
import { kindOf } from "../sys/names.ts";
import { tryStat } from "../sys/stat.ts";
import { storeLocation } from "./open-store.ts";
import { absolutePath, followToStorePath } from "./path-argument.ts";
import type { Session } from "./session.ts";

/** The recipe that commands mean when they are given none. */
export const defaultRecipe = "silo.ts";

export class UnknownTarget extends SiloError {
  readonly code = "unknown-target";
  constructor(
    readonly target: string,
    readonly reason: string,
  ) {
    super(`cannot build '${target}': ${reason}`);
  }
}

export interface Target {
  /** As it was given. */
  readonly shown: string;
  readonly derived: DerivedPath;
}

export interface RecipeSession {
  /** With what the recipes need allowed. */
  readonly session: Session;
  readonly targets: readonly Target[];
  readonly evaluation: Evaluation;
  /** Writes the derivations of the targets to the store, as far as they are missing. */
  instantiate(store: Store): void;
}

/** Without operands, the default export of `./silo.ts`. @throws UnknownTarget, RecipeError */
export async function openRecipes(session: Session, operands: readonly ByteString[]): Promise<RecipeSession> {
  const evaluation = createEvaluation(storeDirOf(session), toText(session.settings.get("system")));
  const targets: Target[] = [];
  const own: StorePath[] = [];
  for (const operand of operands.length === 0 ? ["" as ByteString] : operands) {
    const found = locateTarget(evaluation.storeDir, operand);
    const shown = toText(operand) || defaultRecipe;
    if (found.kind === "store") targets.push({ shown, derived: found.derived });
    else {
      const derived = await evaluateTarget(evaluation, found);
      own.push(derived.kind === "built" ? derived.drvPath : derived.path);
      targets.push({ shown, derived });
    }
  }
  return {
    session: await allowHostPaths(session, evaluation),
    targets,
    evaluation,
    instantiate: (store) => instantiate(store, evaluation, own),
  };
}

/**
 * Is everything there that the targets want? What is then, stays so while this process lives. Much cheaper than asking what builds,
 * which most calls need not.
 */
export function areRealised(store: Store, recipes: RecipeSession): boolean {
  const paths = recipes.targets.flatMap((target) => {
    const outputs = outputsOf(store, recipes, target);
    return outputs.size === 0 ? undefined : [...outputs.values()];
  });
  if (!paths.every((path) => path !== undefined)) return false;
  store.addTempRoots(paths);
  return store.queryValidPaths(paths).size === new Set(paths).size;
}

/** The outputs of a target that the derivation is known to have, whether they are there or not; itself for a path. */
export function outputsOf(store: Store, { evaluation }: RecipeSession, target: Target): Map<string, StorePath> {
  const { derived } = target;
  if (derived.kind === "opaque") return new Map([["out", derived.path]]);
  const known = evaluation.derivations.get(derived.drvPath)?.drv.outputs;
  const outputs = new Map<string, StorePath>();
  if (known === undefined)
    for (const [name, path] of store.queryDerivationOutputs(derived.drvPath)) outputs.set(name, path);
  else for (const [name, output] of known) if ("path" in output) outputs.set(name, output.path);
  const { outputs: wanted } = derived;
  if (wanted.kind === "all") return outputs;
  return new Map([...outputs].filter(([name]) => wanted.names.has(name)));
}

type Located =
  | { readonly kind: "store"; readonly derived: DerivedPath }
  | {
      readonly kind: "recipe";
      readonly file: string;
      readonly attribute: string | undefined;
      readonly outputs: WantedOutputs | undefined;
    };

const recipeName = /\.[cm]?[jt]s$/;

function locateTarget(storeDir: StoreDir, operand: ByteString): Located {
  const { path: text, outputs } = splitOutputsSpecifier(operand);
  const hash = text.indexOf("#");
  const place = (hash < 0 ? text : text.slice(0, hash)) as ByteString;
  const attribute = hash < 0 || hash === text.length - 1 ? undefined : toText(text.slice(hash + 1));
  const path = absolutePath(place === "" ? ("." as ByteString) : place);
  if (hash < 0 && place !== "" && leadsToStore(storeDir, path)) {
    const storePath = followToStorePath(storeDir, path);
    if (outputs === undefined && !isDerivationPath(storePath)) {
      return { kind: "store", derived: { kind: "opaque", path: storePath } };
    }
    return { kind: "store", derived: { kind: "built", drvPath: storePath, outputs: outputs ?? allOutputs } };
  }
  const kind = tryStat(path)?.kind;
  const file = kind === "directory" ? (`${path}/${defaultRecipe}` as ByteString) : path;
  if (kindOf(file) === undefined) throw noRecipe(operand, place, file);
  if (kind !== "directory" && !recipeName.test(file)) {
    throw new UnknownTarget(toText(operand), "it is no recipe (a file named .ts) and not in the store");
  }
  return { kind: "recipe", file: toText(file), attribute, outputs };
}

/** In the store, or a link that leads there, such as `result`. */
function leadsToStore(storeDir: StoreDir, path: ByteString): boolean {
  return isInStore(storeDir, path) || (!recipeName.test(path) && isStoreLink(storeDir, path));
}

function isStoreLink(storeDir: StoreDir, path: ByteString): boolean {
  if (kindOf(path) !== "symlink") return false;
  try {
    followToStorePath(storeDir, path);
    return true;
  } catch {
    return false; // a link to somewhere else, such as to a directory with a recipe
  }
}

function noRecipe(operand: ByteString, place: ByteString, file: ByteString): UnknownTarget {
  const shown = toText(operand) || defaultRecipe;
  if (place === "") {
    return new UnknownTarget(
      shown,
      `there is no '${defaultRecipe}' in this directory; 'silo init' writes one to begin with`,
    );
  }
  const isName =
    /^[\w.-]+$/.test(place) && !recipeName.test(place) && kindOf(absolutePath(fromText(defaultRecipe))) !== undefined;
  const hint = isName ? `; for the export '${place}' of ./${defaultRecipe}, write '#${place}'` : "";
  return new UnknownTarget(shown, `there is no file '${toText(file)}'${hint}`);
}

async function evaluateTarget(
  evaluation: Evaluation,
  { file, attribute, outputs }: Extract<Located, { kind: "recipe" }>,
): Promise<DerivedPath> {
  const [{ loadRecipe }, { selectFrom }] = await Promise.all([
    import("../recipe/load-recipe.ts"),
    import("../recipe/select.ts"),
  ]);
  const selected = await selectFrom(await loadRecipe(evaluation, file), file, attribute);
  if (selected.kind === "source") return { kind: "opaque", path: selected.path };
  const named: WantedOutputs =
    selected.output === undefined ? allOutputs : { kind: "names", names: new Set([selected.output]) };
  return { kind: "built", drvPath: selected.drvPath, outputs: outputs ?? named };
}

function storeDirOf(session: Session): StoreDir {
  const location = storeLocation(session);
  return location.kind === "local" ? location.directories.storeDir : session.directories.storeDir;
}

/** What a recipe declares of the host, it may use: whoever evaluates it runs it. */
async function allowHostPaths(session: Session, evaluation: Evaluation): Promise<Session> {
  const { hostPaths } = await import("../recipe/standard-environment.ts");
  const paths = new Set<string>(hostPaths);
  for (const { drv } of evaluation.derivations.values()) {
    const declared = drv.env.get("__impureHostDeps" as ByteString);
    for (const path of declared?.split(" ") ?? []) if (path !== "") paths.add(path);
  }
  const assignment = {
    name: "extra-allowed-impure-host-deps" as ByteString,
    value: [...paths].join(" ") as ByteString,
    source: fromCommandLine,
  };
  return { ...session, settings: withSettings(session.settings, [assignment]) };
}
