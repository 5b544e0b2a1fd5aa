/**
 * Realising a derivation: its wanted outputs are valid, or are fetched, or its inputs are realised and it is built. See
 * build-sandbox, "Goal flow for one derivation".
 */
import { unionOutputs, allOutputs, type WantedOutputs, wantOutput } from "../formats/derivation-outputs.ts";
import { compareBytes } from "../formats/byte-string.ts";
import { nameOf, type StorePath } from "../formats/store-path.ts";
import type { BuildMode } from "../store/build-service.ts";
import { showPath } from "../store/local-store.ts";
import { queryValidPaths } from "../store/queries.ts";
import { requireWritable } from "../store/open-local-store.ts";
import { asBuildFailure, BuildFailure, consequentFailure } from "./build-failure.ts";
import { buildDerivation } from "./build-derivation.ts";
import type { BuildRun } from "./build-run.ts";
import { Goal, type GoalOutcome, type Tally, waitForGoals } from "./goal.ts";
import type { OutputState } from "./output-plan.ts";
import { outputState, refuseCachedFailure } from "./output-state.ts";
import { repairClosure } from "./repair-closure.ts";
import { substitutionGoal } from "./substitution-goal.ts";

export class DerivationGoal extends Goal {
  /** `substituting`: what is wanted in addition still counts; `building`: everything is made anyway. */
  phase: "substituting" | "building" | "over" = "substituting";
  /** Has more been wanted since the goal looked? */
  grown = false;
  /** Seconds since the epoch, of the build; 0 when there was none. */
  startTimeSec = 0;
  stopTimeSec = 0;

  /** @param wanted may grow while the goal is at work */
  constructor(
    readonly drvPath: StorePath,
    readonly mode: BuildMode,
    public wanted: WantedOutputs,
  ) {
    super();
  }
}

/** The goal for the derivation. One that has failed stays failed; one that is over is started again for more outputs. */
export function derivationGoal(
  run: BuildRun,
  drvPath: StorePath,
  wanted: WantedOutputs,
  mode: BuildMode,
): DerivationGoal {
  const known = run.derivationGoals.get(drvPath);
  if (known !== undefined) {
    if (covers(known.wanted, wanted)) return known;
    if (known.phase !== "over") {
      known.wanted = unionOutputs(known.wanted, wanted);
      known.grown = true;
      return known;
    }
  }
  const goal = new DerivationGoal(drvPath, mode, known === undefined ? wanted : unionOutputs(known.wanted, wanted));
  goal.start(run, () => realise(run, goal));
  run.derivationGoals.set(drvPath, goal);
  run.progress.builds.expected++;
  run.progress.changed();
  return goal;
}

function covers(have: WantedOutputs, wanted: WantedOutputs): boolean {
  if (have.kind === "all") return true;
  return wanted.kind === "names" && [...wanted.names].every((name) => have.names.has(name));
}

async function realise(run: BuildRun, goal: DerivationGoal): Promise<GoalOutcome> {
  const { progress } = run;
  run.tidy();
  let outcome: GoalOutcome;
  try {
    outcome = await flow(run, goal);
  } catch (error) {
    outcome = { kind: "failed", failure: asBuildFailure(error) };
  } finally {
    run.tidy();
    goal.phase = "over";
    progress.builds.expected--;
    progress.changed();
  }
  if (outcome.kind === "success" && outcome.status === "built") progress.builds.done++;
  if (outcome.kind === "failed") {
    if (outcome.failure.status !== "dependency-failed") progress.builds.failed++;
    countFailure(run, outcome.failure);
  }
  return outcome;
}

function countFailure({ failures }: BuildRun, { status }: BuildFailure): void {
  // The reference counts a set-up that the derivation is to blame for, and a failure that it remembers, like a builder's.
  if (status === "permanent-failure" || status === "input-rejected" || status === "cached-failure")
    failures.add("permanent");
  if (status === "timed-out") failures.add("timed-out");
}

async function flow(run: BuildRun, goal: DerivationGoal): Promise<GoalOutcome> {
  const { store, graph } = run;
  const { drvPath, mode } = goal;
  if (!(await ensureDerivation(run, goal))) {
    return failed("misc-failure", `cannot build missing derivation '${showPath(store, drvPath)}'`);
  }
  let retriedSubstitution = false;
  for (;;) {
    goal.grown = false;
    const states = outputStates(run, goal);
    const missing = [...states].filter(([name, state]) => state !== "valid" && wantOutput(name, goal.wanted));
    if (missing.length === 0 && mode === "normal") return { kind: "success", status: "already-valid" };
    requireWritable(store);
    refuseCachedFailure(
      run,
      drvPath,
      missing.map(([name]) => outputPath(run, drvPath, name)),
    );

    let retryLater = false;
    if (mode !== "check" && run.substituters.length > 0 && graph.summaryOf(drvPath).substitutable) {
      const tally = await substituteOutputs(run, goal);
      if (tally.failed > tally.noSubstituters + tally.incompleteClosure && !store.settings.get("fallback")) {
        const shown = showPath(store, drvPath);
        return failed(
          "transient-failure",
          `some substitutes for the outputs of derivation '${shown}' failed (usually happens due to networking issues); try '--fallback' to build derivation from source `,
        );
      }
      // With other failures besides, the hole may be an output of this very derivation, and waiting for its inputs no help.
      retryLater = tally.incompleteClosure > 0 && tally.incompleteClosure === tally.failed && !retriedSubstitution;
      if (goal.grown) continue;
      graph.recheck(graph.outputsOf(drvPath)!.values());
      const left = [...outputStates(run, goal)].filter(
        ([name, state]) => state !== "valid" && wantOutput(name, goal.wanted),
      );
      if (left.length === 0 && mode === "normal") return { kind: "success", status: "substituted" };
      if (left.length === 0 && mode === "repair") return repairAll(run, drvPath);
    } else if (mode === "repair" && missing.length === 0) return repairAll(run, drvPath);
    if (mode === "check" && missing.length > 0) {
      const shown = showPath(store, drvPath);
      return failed("misc-failure", `some outputs of '${shown}' are not valid, so checking is not possible`);
    }

    goal.wanted = allOutputs;
    goal.phase = "building";
    const tally = await realiseInputs(run, goal);
    if (tally.failed > 0) {
      const shown = showPath(store, drvPath);
      if (run.derivationsInMemory.has(drvPath))
        return failed("misc-failure", `some dependencies of '${shown}' are missing`);
      return failed("dependency-failed", `${tally.failed} dependencies of derivation '${shown}' failed to build`);
    }
    if (retryLater) {
      retriedSubstitution = true;
      continue;
    }
    return buildDerivation(run, goal);
  }
}

function repairAll(run: BuildRun, drvPath: StorePath): Promise<GoalOutcome> {
  return repairClosure(run, drvPath, (deriver) => derivationGoal(run, deriver, allOutputs, "repair"));
}

function failed(status: BuildFailure["status"], message: string): GoalOutcome {
  return { kind: "failed", failure: consequentFailure(status, message) };
}

/** Fetches the file of a derivation that is not in the store. False when nobody has it. */
async function ensureDerivation(run: BuildRun, { drvPath }: DerivationGoal): Promise<boolean> {
  if (run.graph.outputsOf(drvPath) !== undefined) return true;
  const outcome = await substitutionGoal(run, drvPath, "normal").ended();
  return outcome.kind === "success" && run.graph.outputsOf(drvPath) !== undefined;
}

/**
 * What is true of every output, as far as it is wanted; in repair mode contents count.
 * @throws BuildFailure for a wanted output that the derivation does not have
 */
function outputStates(run: BuildRun, { drvPath, wanted, mode }: DerivationGoal): Map<string, OutputState> {
  const { graph, store } = run;
  const outputs = graph.outputsOf(drvPath)!;
  if (outputs.size === 0) graph.summaryOf(drvPath); // says why its outputs are not known
  if (wanted.kind === "names") {
    const unknown = [...wanted.names].filter((name) => !outputs.has(name));
    if (unknown.length > 0) {
      const names = unknown.map((name) => `'${name}'`).join(", ");
      const shown = showPath(store, drvPath);
      throw new BuildFailure("misc-failure", `derivation '${shown}' does not have wanted outputs ${names}`);
    }
  }
  return new Map(Array.from(outputs, ([name, path]) => [name, outputState(run, path, mode)]));
}

function outputPath({ graph }: BuildRun, drvPath: StorePath, name: string): StorePath {
  return graph.outputsOf(drvPath)!.get(name)!;
}

function substituteOutputs(run: BuildRun, { drvPath, wanted, mode }: DerivationGoal): Promise<Tally> {
  const goals = [...run.graph.outputsOf(drvPath)!]
    .filter(([name, path]) => wantOutput(name, wanted) && outputState(run, path, mode) !== "valid")
    .map(([, path]) => substitutionGoal(run, path, mode === "repair" ? "repair" : "normal"));
  return waitForGoals(run, goals);
}

/** As in Nix: what is called "aardvark" is always built before "baboon". */
function byName(a: { readonly drvPath: StorePath }, b: { readonly drvPath: StorePath }): number {
  const [nameOfA, nameOfB] = [nameOf(a.drvPath), nameOf(b.drvPath)];
  return compareBytes(nameOfA, nameOfB) || compareBytes(a.drvPath, b.drvPath);
}

function realiseInputs(run: BuildRun, { drvPath, mode }: DerivationGoal): Promise<Tally> {
  const { graph } = run;
  const inputs = graph.takeInputs(drvPath);
  const { sources } = graph.summaryOf(drvPath);
  graph.load(inputs.map((input) => input.drvPath));
  const goals: Goal[] = [];
  if (sources.length > 0) {
    const valid = queryValidPaths(run.store, sources);
    for (const path of sources) if (!valid.has(path)) goals.push(substitutionGoal(run, path, "normal"));
  }
  for (const input of [...inputs].sort(byName)) {
    const outputs = graph.outputsOf(input.drvPath);
    const isValid = (name: string) => outputs?.has(name) && graph.isKnownValid(outputs.get(name)!);
    if (mode !== "repair" && outputs !== undefined && [...input.outputs].every(isValid)) continue;
    const wanted: WantedOutputs = { kind: "names", names: input.outputs };
    goals.push(derivationGoal(run, input.drvPath, wanted, mode === "repair" ? "repair" : "normal"));
  }
  return waitForGoals(run, goals);
}
