/** Programs of what was built: run with the store in its place, and safe from collection until they run. */
import { fromText } from "../formats/byte-string.ts";
import type { DerivedPath } from "../formats/derivation-outputs.ts";
import type { UserProgram } from "../sandbox/run-with-store.ts";
import type { Environment } from "../store/directories.ts";
import type { Store } from "../store/store.ts";
import { printBuildFailure } from "./nix-store/print-build-failure.ts";
import { withStore } from "./open-store.ts";
import type { RecipeSession } from "./recipe-session.ts";
import { withBuilds } from "./store-builds.ts";

/**
 * Makes what `choose` wants valid, and runs the program that it says then; the exit status of that, or of a failed build, which has
 * been told.
 * @param wanted is asked when the derivations of the recipes are in the store
 */
export async function buildAndRun(
  recipes: RecipeSession,
  wanted: (store: Store) => readonly DerivedPath[],
  choose: (store: Store) => UserProgram,
): Promise<number> {
  const { session } = recipes;
  return withStore(session, async (store) => {
    recipes.instantiate(store);
    const status = await withBuilds(session, store, async (builds, signal) => {
      try {
        await builds.buildPaths(wanted(store), "normal", signal);
        return 0;
      } catch (error) {
        return printBuildFailure(session.reporter, error);
      }
    });
    if (status !== 0) return status;
    const program = choose(store);
    const { local, storeDir } = store;
    const { runWithStore } = await import("../sandbox/run-with-store.ts");
    session.io.flush();
    // With the store open: its temporary roots last until the program is seen to run.
    const place = { storeDir, realStoreDir: local?.realStoreDir ?? storeDir, stateDir: local?.stateDir ?? "/tmp" };
    return runWithStore(program, place);
  });
}

/** `NAME=value`, as bytes. */
export function environmentWords(env: ReadonlyMap<string, string>): string[] {
  return Array.from(env, ([name, value]) => `${name}=${value}`);
}

/** The variables of the environment, as bytes. */
export function environmentBytes(env: Environment): Map<string, string> {
  const bytes = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) if (value !== undefined) bytes.set(fromText(name), fromText(value));
  return bytes;
}
