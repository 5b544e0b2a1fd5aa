/** The scheduler: realises derivations and paths in the local store. */
import type { BasicDerivation } from "../formats/derivation/derivation.ts";
import { allOutputs, type DerivedPath, wantOutput } from "../formats/derivation-outputs.ts";
import { type ByteString, compareBytes } from "../formats/byte-string.ts";
import { isDerivationPath, nameOf, type StorePath } from "../formats/store-path.ts";
import type { BuildResult, BuiltOutput } from "../formats/worker-protocol/build-result.ts";
import type { BuildMode, BuildService } from "../store/build-service.ts";
import { showPath } from "../store/local-store.ts";
import { isValidPath, queryPathInfo, requirePathInfo } from "../store/queries.ts";
import { BuildFailed, type BuildFailure } from "./build-failure.ts";
import { type BuildHelpers, type BuildRun, startRun } from "./build-run.ts";
import { derivationGoal } from "./derivation-goal.ts";
import { type Goal, type GoalOutcome, tellFailure, waitForTargets } from "./goal.ts";
import { KnownGraph } from "./known-graph.ts";
import { askAll, queryMissing } from "./query-missing.ts";
import { substitutionGoal } from "./substitution-goal.ts";

export function localBuildService(helpers: BuildHelpers): BuildService {
  const { store } = helpers;
  // What queryMissing has found out serves the build that usually follows.
  let prepared: KnownGraph | undefined;
  const takeGraph = () => {
    const graph = prepared ?? new KnownGraph(store);
    prepared = undefined;
    return graph;
  };
  const substituters = () => (store.settings.get("substitute") ? helpers.substituters : []);

  async function ensure(path: StorePath, signal: AbortSignal): Promise<void> {
    if (isValidPath(store, path)) return;
    await inRun(helpers, signal, takeGraph(), async (run) => {
      const outcome = await substitutionGoal(run, path, "normal").ended();
      if (outcome.kind === "success") return;
      const message = `path '${showPath(store, path)}' does not exist and cannot be created`;
      throw failedWith(run, outcome.kind === "failed" ? [outcome.failure] : [], message);
    });
  }

  async function repair(path: StorePath, signal: AbortSignal): Promise<void> {
    const info = requirePathInfo(store, path);
    await inRun(helpers, signal, takeGraph(), async (run) => {
      const outcome = await substitutionGoal(run, path, "repair").ended();
      if (outcome.kind === "success") return;
      const { deriver } = info;
      if (deriver === undefined || !isValidPath(store, deriver)) {
        throw new BuildFailed(`cannot repair path '${showPath(store, path)}'`, run.failures.exitStatus, []);
      }
      run.graph.load([deriver]);
      const rebuilt = await derivationGoal(run, deriver, allOutputs, "repair").ended();
      if (rebuilt.kind === "failed")
        throw new BuildFailed(rebuilt.failure.message, run.failures.exitStatus, [rebuilt.failure]);
    });
  }

  return {
    buildPaths: (targets, mode, signal) => buildPaths(helpers, takeGraph(), targets, mode, signal),
    buildPathsWithResults: (targets, mode, signal) =>
      buildPathsWithResults(helpers, takeGraph(), targets, mode, signal),
    buildDerivation: (drvPath, drv, mode, signal) =>
      buildInMemory(helpers, new KnownGraph(store), drvPath, drv, mode, signal),
    ensurePath: ensure,
    repairPath: repair,
    queryMissing(targets) {
      prepared = new KnownGraph(store);
      return queryMissing(store, prepared, substituters(), targets);
    },
    async querySubstitutablePaths(paths) {
      const found = new Set<StorePath>();
      for (const substituter of substituters()) {
        const left = paths.filter((path) => !found.has(path));
        if (left.length === 0) break;
        for (const path of await substituter.have(left)) found.add(path);
      }
      return found;
    },
    querySubstitutablePathInfos: (paths) => askAll(substituters(), new Set(paths)),
  };
}

/** Everything that the run started is over when this resolves or rejects. */
async function inRun<T>(
  helpers: BuildHelpers,
  signal: AbortSignal,
  graph: KnownGraph,
  work: (run: BuildRun) => Promise<T>,
  inMemory?: ReadonlyMap<StorePath, BasicDerivation>,
): Promise<T> {
  const run = startRun(helpers, signal, graph, inMemory);
  try {
    return await work(run);
  } finally {
    // Without keep-going a failure leaves others at work. Goals that end may not start new ones any more.
    run.stop();
    for (const goals of [run.derivationGoals, run.substitutionGoals]) {
      for (const goal of goals.values()) await goal.ended().catch(() => {});
    }
    run.progress.stop();
  }
}

interface Target {
  readonly path: StorePath;
  readonly goal: Goal;
}

/** As in Nix: what is fetched comes first, and derivations come in the order of their names. */
function orderOf(target: DerivedPath): string {
  const path = target.kind === "built" ? target.drvPath : target.path;
  return `${target.kind === "built" ? "b" : "a"}${nameOf(path)}/${path}`;
}

function startTargets(
  run: BuildRun,
  targets: readonly DerivedPath[],
  mode: BuildMode,
): ReadonlyMap<DerivedPath, Target> {
  const { graph } = run;
  graph.load(targets.flatMap((target) => (target.kind === "built" ? target.drvPath : [])));
  const started = new Map<DerivedPath, Target>();
  for (const target of [...targets].sort((a, b) => compareBytes(orderOf(a), orderOf(b)))) {
    if (target.kind === "built") {
      const goal = derivationGoal(run, target.drvPath, target.outputs, mode);
      started.set(target, { path: target.drvPath, goal });
    } else {
      const goal = substitutionGoal(run, target.path, mode === "repair" ? "repair" : "normal");
      started.set(target, { path: target.path, goal });
    }
  }
  return started;
}

async function buildPaths(
  helpers: BuildHelpers,
  graph: KnownGraph,
  targets: readonly DerivedPath[],
  mode: BuildMode,
  signal: AbortSignal,
): Promise<void> {
  if (mode === "normal" && areAllValid(helpers, graph, targets)) return;
  await inRun(helpers, signal, graph, async (run) => {
    const ended = await endOfTargets(run, [...startTargets(run, targets, mode).values()]);
    const bad = ended.filter(({ outcome }) => outcome.kind !== "success");
    if (bad.length === 0) return;
    // Those that others waited for have been told of already.
    const failures = bad.flatMap(({ outcome, goal }) =>
      outcome.kind === "failed" && goal.awaited === "by-nobody-else" ? outcome.failure : [],
    );
    const paths = [...new Set(bad.map(({ path }) => `'${showPath(run.store, path)}'`))].sort();
    const message = `build of ${paths.join(", ")} failed`;
    throw failedWith(run, paths.length === 1 ? failures : [...failures, undefined], message);
  });
}

/**
 * The error of a request. One failure speaks for itself; of several, or one beside something that has no message, all
 * are told and the error only says what failed.
 */
function failedWith(run: BuildRun, failures: readonly (BuildFailure | undefined)[], message: string): BuildFailed {
  const { exitStatus } = run.failures;
  const told = failures.filter((failure) => failure !== undefined);
  const [first, ...others] = failures;
  if (others.length === 0 && first !== undefined) return new BuildFailed(first.message, exitStatus, told);
  // The first comes last, as in Nix.
  for (const failure of [...others, first]) if (failure !== undefined) tellFailure(run, failure);
  return new BuildFailed(message, exitStatus, told);
}

/** The quick way out, which most calls take: one look at the database. */
function areAllValid({ store }: BuildHelpers, graph: KnownGraph, targets: readonly DerivedPath[]): boolean {
  graph.load(targets.flatMap((target) => (target.kind === "built" ? target.drvPath : [])));
  return targets.every((target) => {
    if (target.kind === "opaque") {
      store.tempRoots.add([showPath(store, target.path)]);
      return isValidPath(store, target.path);
    }
    const { outputs: wanted, drvPath } = target;
    const outputs = graph.outputsOf(drvPath);
    if (outputs === undefined || outputs.size === 0) return false;
    const names = wanted.kind === "all" ? outputs.keys() : wanted.names;
    return [...names].every((name) => outputs.has(name) && graph.isKnownValid(outputs.get(name)!));
  });
}

interface EndedTarget extends Target {
  readonly outcome: GoalOutcome;
}

/** In the order of the targets, all that have ended when nothing more is to be waited for. @throws Interrupted (rejects) when the caller stops the run */
async function endOfTargets(run: BuildRun, targets: readonly Target[]): Promise<EndedTarget[]> {
  await waitForTargets(
    run,
    targets.map(({ goal }) => goal),
  );
  return targets.flatMap((target) => {
    const { outcome } = target.goal;
    return outcome === undefined ? [] : { ...target, outcome };
  });
}

async function buildPathsWithResults(
  helpers: BuildHelpers,
  graph: KnownGraph,
  targets: readonly DerivedPath[],
  mode: BuildMode,
  signal: AbortSignal,
): ReturnType<BuildService["buildPathsWithResults"]> {
  return inRun(helpers, signal, graph, async (run) => {
    const started = startTargets(run, targets, mode);
    const ended = await endOfTargets(run, [...started.values()]);
    const outcomes = new Map(ended.map(({ goal, outcome }) => [goal, outcome]));
    return targets.map((target) => {
      return { target, result: buildResult(run, target, outcomes.get(started.get(target)!.goal)) };
    });
  });
}

async function buildInMemory(
  helpers: BuildHelpers,
  graph: KnownGraph,
  drvPath: StorePath,
  drv: BasicDerivation,
  mode: BuildMode,
  signal: AbortSignal,
): Promise<BuildResult> {
  const target: DerivedPath = { kind: "built", drvPath, outputs: allOutputs };
  const work = async (run: BuildRun) => {
    run.graph.addInMemory(drvPath, drv);
    const outcome = await derivationGoal(run, drvPath, allOutputs, mode).ended();
    return buildResult(run, target, outcome);
  };
  return inRun(helpers, signal, graph, work, new Map([[drvPath, drv]]));
}

function buildResult(run: BuildRun, target: DerivedPath, outcome: GoalOutcome | undefined): BuildResult {
  const goal = target.kind === "built" ? run.derivationGoals.get(target.drvPath) : undefined;
  const isBuilt = outcome?.kind === "success" && outcome.status === "built";
  return {
    ...resultStatus(run, target, outcome),
    timesBuilt: isBuilt ? 1 : 0,
    isNonDeterministic: outcome?.kind === "failed" && outcome.failure.status === "not-deterministic",
    startTimeSec: goal?.startTimeSec ?? 0,
    stopTimeSec: goal?.stopTimeSec ?? 0,
    cpuUserUs: undefined,
    cpuSystemUs: undefined,
    builtOutputs: outcome?.kind === "success" ? builtOutputs(run, target) : new Map(),
  };
}

function resultStatus(
  { store }: BuildRun,
  target: DerivedPath,
  outcome: GoalOutcome | undefined,
): Pick<BuildResult, "status" | "errorMessage"> {
  switch (outcome?.kind) {
    case "success":
      return { status: outcome.status, errorMessage: "" as ByteString };
    case "failed":
      return { status: outcome.failure.status, errorMessage: outcome.failure.message as ByteString };
    case undefined:
      return { status: "misc-failure", errorMessage: "given up after another failure" as string as ByteString };
    default: {
      const path = showPath(store, target.kind === "built" ? target.drvPath : target.path);
      const message = `path '${path}' is required, but there is no substituter that can build it`;
      return { status: "no-substituters", errorMessage: message as ByteString };
    }
  }
}

function builtOutputs(run: BuildRun, target: DerivedPath): Map<string, BuiltOutput> {
  const built = new Map<string, BuiltOutput>();
  if (target.kind !== "built" || !isDerivationPath(target.drvPath)) return built;
  for (const [name, path] of run.graph.outputsOf(target.drvPath) ?? []) {
    if (!wantOutput(name, target.outputs)) continue;
    const info = queryPathInfo(run.store, path);
    if (info !== undefined) built.set(name, { path, signatures: info.signatures, drvHash: undefined });
  }
  return built;
}
