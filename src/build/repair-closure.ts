/** Repairing what a derivation's outputs refer to, once they themselves are good: by fetching or by building again. */
import { isDerivationPath, type StorePath } from "../formats/store-path.ts";
import { computeClosure } from "../store/closure.ts";
import { showPath } from "../store/local-store.ts";
import { queryDerivationOutputs } from "../store/queries.ts";
import { BuildFailure } from "./build-failure.ts";
import type { BuildRun } from "./build-run.ts";
import { type Goal, type GoalOutcome, waitForGoals } from "./goal.ts";
import { pathContents } from "./path-contents.ts";
import { substitutionGoal } from "./substitution-goal.ts";

/** @param rebuild the goal that builds a derivation's damaged outputs again */
export async function repairClosure(
  run: BuildRun,
  drvPath: StorePath,
  rebuild: (drvPath: StorePath) => Goal,
): Promise<GoalOutcome> {
  const { store, graph } = run;
  const shown = showPath(store, drvPath);
  const outputs = [...graph.outputsOf(drvPath)!.values()];
  const deriverByOutput = new Map<StorePath, StorePath>();
  for (const path of computeClosure(store, [drvPath])) {
    if (!isDerivationPath(path)) continue;
    for (const output of queryDerivationOutputs(store, path).values()) deriverByOutput.set(output, path);
  }
  const goals: Goal[] = [];
  for (const path of computeClosure(store, outputs)) {
    if (outputs.includes(path) || pathContents(run, path) === "good") continue;
    store.reporter.message(
      "error",
      `found corrupted or missing path '${showPath(store, path)}' in the output closure of '${shown}'`,
    );
    const deriver = deriverByOutput.get(path);
    goals.push(deriver === undefined ? substitutionGoal(run, path, "repair") : rebuild(deriver));
  }
  const tally = await waitForGoals(run, goals);
  if (tally.failed === 0) return { kind: "success", status: "already-valid" };
  const message = `some paths in the output closure of derivation '${shown}' could not be repaired`;
  return { kind: "failed", failure: new BuildFailure("misc-failure", message) };
}
