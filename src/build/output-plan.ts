/**
 * Where the builder writes each output, and where the result is found. As a rule both are the output's path. Where
 * something is there already that must stay (valid outputs of a derivation that has others missing, check, repair), the
 * result goes to a scratch path. In a sandbox the builder does not notice, since it does not see what is there; without
 * one it is given the scratch path, and the hash parts in what it made are rewritten.
 */
import type { Derivation } from "../formats/derivation/derivation.ts";
import { knownOutputPath } from "../formats/derivation/derivation.ts";
import { makeScratchPath, outputPlaceholder } from "../formats/make-store-path.ts";
import { hashPart, type StorePath } from "../formats/store-path.ts";
import type { BuildMode } from "../store/build-service.ts";
import { type LocalStore, realPath, showPath } from "../store/local-store.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import type { Rewrites } from "./rewrites.ts";

export interface PlannedOutput {
  readonly name: string;
  readonly path: StorePath;
  /** What the builder is told. */
  readonly inside: StorePath;
  /** Where the result is, in the store directory, until it is in its place. */
  readonly result: StorePath;
  /** Is it to be looked at and registered, or is the path valid and the builder's copy thrown away? */
  readonly purpose: "take" | "discard";
}

export interface OutputPlan {
  /** By name, ascending. */
  readonly outputs: readonly PlannedOutput[];
  /** What the builder is given is rewritten by these: placeholders, and hash parts to scratch hash parts. */
  readonly toBuilder: Rewrites;
  /** Scratch hash parts back to those of the outputs. */
  readonly fromBuilder: ReadonlyMap<string, string>;
}

/** What is true of an output's path now. `corrupt` is told apart in repair mode only. */
export type OutputState = "valid" | "corrupt" | "absent";

/** Deletes what is in the way, and roots scratch paths. @throws SystemError */
export function planOutputs(
  store: LocalStore,
  drvPath: StorePath,
  drv: Derivation,
  states: ReadonlyMap<string, OutputState>,
  mode: BuildMode,
  isolation: "sandbox" | "none",
): OutputPlan {
  const toBuilder = new Map<string, string>();
  const fromBuilder = new Map<string, string>();
  const outputs: PlannedOutput[] = [];
  for (const [name, output] of [...drv.outputs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const path = knownOutputPath(output)!;
    const state = states.get(name) ?? "absent";
    const isTaken = state === "valid" || (state === "corrupt" && mode === "repair");
    const result = isTaken ? makeScratchPath(store.storeDir, drvPath, path) : path;
    if (isTaken) store.tempRoots.add([showPath(store, result)]);
    deleteTree(realPath(store, result));
    const inside = isolation === "sandbox" ? path : result;
    toBuilder.set(outputPlaceholder(name), showPath(store, inside));
    if (inside !== path) {
      toBuilder.set(hashPart(path), hashPart(inside));
      fromBuilder.set(hashPart(inside), hashPart(path));
    }
    outputs.push({ name, path, inside, result, purpose: mode === "check" || state !== "valid" ? "take" : "discard" });
  }
  return { outputs, toBuilder, fromBuilder };
}

/** Does the builder's result replace or join something that must stay whatever happens? */
export function usesScratchPaths({ outputs }: OutputPlan): boolean {
  return outputs.some(({ path, result }) => path !== result);
}

/** Deletes what a build left at scratch paths. @throws SystemError */
export function deleteScratch(store: LocalStore, { outputs }: OutputPlan): void {
  for (const { path, result } of outputs) if (result !== path) deleteTree(realPath(store, result));
}
