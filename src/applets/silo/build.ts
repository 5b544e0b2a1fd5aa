/** `silo build`: recipes, derivations and paths, built or fetched, and linked as `result`. */
import { UsageError } from "../../error.ts";
import { type ByteString, fromText, toText } from "../../formats/byte-string.ts";
import { printStorePath, type StorePath } from "../../formats/store-path.ts";
import type { BuildMode } from "../../store/build-service.ts";
import type { Store } from "../../store/store.ts";
import { type CommandLine, commandApplet } from "../command-line.ts";
import type { Io } from "../io.ts";
import { printMissing } from "../nix-store/missing-paths.ts";
import { printBuildFailure } from "../nix-store/print-build-failure.ts";
import { withStore } from "../open-store.ts";
import { absolutePath } from "../path-argument.ts";
import { areRealised, openRecipes, outputsOf, type RecipeSession } from "../recipe-session.ts";
import { openSession } from "../session.ts";
import { withBuilds } from "../store-builds.ts";

type BuildOption = "out-link" | "no-link" | "print-out-paths" | "dry-run" | "check" | "repair" | "json";

export const build = commandApplet(
  {
    name: "silo build",
    family: "silo",
    summary: "Build recipes, derivations or store paths",
    usage: ["[-o LINK | --no-link] [--print-out-paths] [--json] [--check] [--dry-run] [RECIPE[#NAME] | STORE-PATH]…"],
    examples: [
      { does: "The default export of ./silo.ts; the result is linked as ./result", command: "silo build" },
      { does: "The export `zlib` of another recipe, only its output `dev`", command: "silo build ./libs.ts#zlib^dev" },
      {
        does: "For a script: no links, the paths on standard output",
        command: "silo build --no-link --print-out-paths '#hello'",
      },
      { does: "Is the build reproducible? Build it again and compare", command: "silo build --check '#hello'" },
    ],
    options: {
      "out-link": {
        letter: "o",
        operands: ["LINK"],
        help: "Link the results as LINK, LINK-dev and so on, in place of result",
      },
      "no-link": { help: "Link nothing; the results may be collected as garbage" },
      "print-out-paths": { help: "Print the store paths of the results" },
      "dry-run": { help: "Only tell what would be built and fetched" },
      check: { aliases: ["rebuild"], help: "Build again what is there already, and compare" },
      repair: { help: "Build or fetch again what is damaged" },
      json: { help: "Print a list of objects with `drvPath` and `outputs`" },
    },
  },
  async (line: CommandLine<BuildOption>, io) => {
    if (line.has("out-link") && line.has("no-link"))
      throw new UsageError("'--out-link' and '--no-link' exclude each other");
    const recipes = await openRecipes(openSession(line, io), line.operands);
    return withStore(recipes.session, (store) => buildAndLink(line, io, recipes, store));
  },
);

async function buildAndLink(
  line: CommandLine<BuildOption>,
  io: Io,
  recipes: RecipeSession,
  store: Store,
): Promise<number> {
  recipes.instantiate(store);
  const status = await realise(line, recipes, store);
  if (status !== 0) return status;
  const results = recipes.targets.map((target) => ({ target, outputs: outputsOf(store, recipes, target) }));
  const show = (path: StorePath) => printStorePath(store.storeDir, path);
  if (line.has("json")) {
    const list = results.map(({ target: { derived }, outputs }) => ({
      ...(derived.kind === "built" ? { drvPath: show(derived.drvPath) } : {}),
      outputs: Object.fromEntries(Array.from(outputs, ([name, path]) => [name, show(path)])),
    }));
    io.out(fromText(`${JSON.stringify(list, null, 2)}\n`));
  }
  if (line.has("dry-run")) return 0;
  if (line.has("print-out-paths")) {
    for (const { outputs } of results) for (const path of outputs.values()) io.out(`${show(path)}\n`);
  }
  if (!line.has("no-link")) {
    const base = absolutePath(line.last("out-link") ?? ("result" as ByteString));
    for (const [index, { outputs }] of results.entries()) linkResults(recipes, store, base, index, outputs);
  }
  return 0;
}

/** Builds and fetches, or only tells what; the exit status. */
async function realise(line: CommandLine<BuildOption>, recipes: RecipeSession, store: Store): Promise<number> {
  const { session, targets } = recipes;
  const mode = modeOf(line);
  if (mode === "normal" && areRealised(store, recipes)) return 0;
  const derived = targets.map((target) => target.derived);
  return withBuilds(session, store, async (builds, signal) => {
    if (line.has("dry-run")) {
      printMissing(session.reporter, store, await builds.queryMissing(derived));
      return 0;
    }
    try {
      await builds.buildPaths(derived, mode, signal);
      return 0;
    } catch (error) {
      return printBuildFailure(session.reporter, error);
    }
  });
}

function modeOf(line: CommandLine<BuildOption>): BuildMode {
  return line.has("check") ? "check" : line.has("repair") ? "repair" : "normal";
}

/** As nix-build names them: `result`, `result-dev`, and for a second target `result-2`, `result-2-dev`. */
function linkResults(
  { session }: RecipeSession,
  store: Store,
  base: ByteString,
  index: number,
  outputs: ReadonlyMap<string, StorePath>,
): void {
  for (const [output, path] of outputs) {
    const link = base + (index > 0 ? `-${index + 1}` : "") + (output === "out" ? "" : `-${output}`);
    store.addPermanentRoot(path, link);
    const shown = link.startsWith(`${process.cwd()}/`) ? `./${link.slice(process.cwd().length + 1)}` : link;
    session.reporter.message(
      "info",
      `${toText(shown)} -> ${printStorePath(store.storeDir, path)}${elsewhere(store, path)}`,
    );
  }
}

/** In a store that is not where its name says, the link leads nowhere but in 'silo shell' and 'silo run'. */
function elsewhere({ local, storeDir }: Store, path: StorePath): string {
  return local === undefined || local.realStoreDir === storeDir ? "" : ` (here ${toText(local.realStoreDir)}/${path})`;
}
