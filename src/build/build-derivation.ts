/**
 * Building a derivation whose inputs are valid: locks against other processes, the build hook, a slot, a build user, and
 * then the build. What is not to be had now is waited for with everything else given back.
 */
import type { Derivation } from "../formats/derivation/derivation.ts";
import { isFixedOutput } from "../formats/derivation/derivation.ts";
import type { StorePath } from "../formats/store-path.ts";
import { registerFailedPath } from "../store/failed-paths.ts";
import { computeClosure } from "../store/closure.ts";
import { realPath, showPath } from "../store/local-store.ts";
import { type PathLocks, tryLockPaths } from "../store/path-locks.ts";
import { readDerivation } from "../store/read-derivation.ts";
import type { Activity } from "../store/reporter.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { asBuildFailure, BuildFailure, HashMismatch, HookFailure, OutputDiffers } from "./build-failure.ts";
import { type BuildRun, pollIntervalMs, traceBuild } from "./build-run.ts";
import { type TakenUser, tryTakeBuildUser } from "./build-users.ts";
import { type DerivationAttributes, derivationAttributes, prefersToBuildHere } from "./derivation-attributes.ts";
import type { DerivationGoal } from "./derivation-goal.ts";
import type { GoalOutcome } from "./goal.ts";
import { tryBuildHook } from "./hook-build.ts";
import { buildHere, type ReadyBuild } from "./local-build.ts";
import type { OutputState } from "./output-plan.ts";
import { outputState, refuseCachedFailure } from "./output-state.ts";

/** What trying to build comes to. */
type Attempt =
  | { readonly kind: "over"; readonly outcome: GoalOutcome }
  /** Others are in the way: try again when something changes. */
  | { readonly kind: "wait"; readonly reason: string }
  | { readonly kind: "wait-for-slot"; readonly limit: number };

export async function buildDerivation(run: BuildRun, goal: DerivationGoal): Promise<GoalOutcome> {
  const { store } = run;
  const { drvPath } = goal;
  const shown = showPath(store, drvPath);
  let waiting: Activity | undefined;
  let told = "";
  let slot: Slot = "free";
  try {
    for (;;) {
      const attempt = await tryToBuild(run, goal, slot);
      slot = "free";
      if (attempt.kind === "over") return attempt.outcome;
      if (attempt.kind === "wait-for-slot") {
        await run.slots.take(attempt.limit, run.signal);
        slot = "taken";
        continue;
      }
      if (attempt.reason !== told) {
        waiting?.stop();
        waiting = store.reporter.start({ kind: "build-waiting", level: "warning", text: attempt.reason });
        told = attempt.reason;
      }
      await run.changes.next(pollIntervalMs(run), run.signal);
    }
  } catch (error) {
    const failure = asBuildFailure(error);
    traceFailure(run, shown, failure);
    return { kind: "failed", failure };
  } finally {
    waiting?.stop();
  }
}

function traceFailure(run: BuildRun, shown: string, failure: BuildFailure): void {
  const { status, message } = failure;
  if (status === "cached-failure") return; // has its own line
  if (failure instanceof HookFailure) return traceBuild(run, `hook-failed ${shown} - 1 ${message}`);
  if (status === "timed-out" || status === "log-limit-exceeded") traceBuild(run, `build-failed ${shown} - timeout`);
  else traceBuild(run, `build-failed ${shown} - ${status === "input-rejected" ? 0 : 1} ${message}`);
}

type Slot = "taken" | "free";

/** Gives back whatever it has, a slot that it was given included. */
async function tryToBuild(run: BuildRun, goal: DerivationGoal, slotBefore: Slot): Promise<Attempt> {
  const { store, slots } = run;
  const { drvPath, mode } = goal;
  // Without a hook nothing can be done without a slot: taking it first spares the others their locks.
  let slot = slotBefore;
  if (slot === "free" && run.hook === undefined && maxJobs(run, drvPath) > 0) {
    await slots.take(maxJobs(run, drvPath), run.signal);
    slot = "taken";
  }
  let locks: PathLocks | undefined;
  let files: "delete" | "keep" = "keep";
  try {
    const paths = [...run.graph.outputsOf(drvPath)!.values()];
    locks = tryLockPaths(paths.map((path) => realPath(store, path)));
    if (locks === undefined) return { kind: "wait", reason: `waiting for lock on ${showPaths(run, paths)}` };
    // Another process may have built it since we looked.
    run.graph.recheck(paths);
    const states = statesNow(run, goal);
    if (mode !== "check" && [...states.values()].every((state) => state === "valid")) {
      files = "delete";
      return { kind: "over", outcome: { kind: "success", status: "already-valid" } };
    }
    refuseCachedFailure(
      run,
      drvPath,
      paths.filter((path) => !run.graph.isKnownValid(path)),
    );
    for (const path of paths) if (!run.graph.isKnownValid(path)) deleteTree(realPath(store, path));
    const ready = prepare(run, goal, states);
    const isHere = mode !== "normal" || prefersToBuildHere(store.settings, ready.drv, ready.attributes);
    const attempt = await attemptBuild(run, goal, ready, isHere ? "here" : "anywhere", slot);
    slot = attempt.slot;
    if (attempt.result.kind === "over" && attempt.result.outcome.kind === "success") files = "delete";
    return attempt.result;
  } finally {
    locks?.release(files);
    if (slot === "taken") slots.release();
    run.changes.announce();
  }
}

/** A derivation that is built here by preference has a slot even when there are none for others. */
function maxJobs({ store, graph }: BuildRun, drvPath: StorePath): number {
  const setting = store.settings.get("max-jobs");
  return setting === 0 && graph.summaryOf(drvPath).prefersToBuildHere ? 1 : setting;
}

function showPaths({ store }: BuildRun, paths: readonly StorePath[]): string {
  return paths.map((path) => `'${realPath(store, path)}'`).join(", ");
}

function statesNow(run: BuildRun, { drvPath, mode }: DerivationGoal): Map<string, OutputState> {
  return new Map(Array.from(run.graph.outputsOf(drvPath)!, ([name, path]) => [name, outputState(run, path, mode)]));
}

function prepare(run: BuildRun, goal: DerivationGoal, states: ReadonlyMap<string, OutputState>): ReadyBuild {
  const { store } = run;
  const { drvPath, mode } = goal;
  const shown = showPath(store, drvPath);
  const inMemory = run.derivationsInMemory.get(drvPath);
  const drv: Derivation =
    inMemory === undefined
      ? readDerivation(store.storeDir, store.realStoreDir, drvPath)
      : { ...inMemory, inputDrvs: new Map() };
  const attributes: DerivationAttributes = derivationAttributes(drv, shown);
  const title =
    inMemory === undefined
      ? `building of '${shown}!*' from .drv file`
      : `building of '${shown}' from in-memory derivation`;
  return { drvPath, drv, attributes, title, inputs: inputClosure(run, drvPath, drv), states, mode };
}

/** @throws BuildFailure for an output that an input does not have */
function inputClosure(run: BuildRun, drvPath: StorePath, drv: Derivation): StorePath[] {
  const starts: StorePath[] = [...drv.inputSrcs];
  for (const [inputPath, names] of drv.inputDrvs) {
    const outputs = run.graph.outputsOf(inputPath);
    for (const name of names) {
      const path = outputs?.get(name);
      if (path !== undefined) {
        starts.push(path);
        continue;
      }
      const [shown, input] = [drvPath, inputPath].map((each) => showPath(run.store, each));
      throw new BuildFailure(
        "misc-failure",
        `derivation '${shown}' requires non-existent output '${name}' from input derivation '${input}'`,
      );
    }
  }
  return starts.length === 0 ? [] : computeClosure(run.store, starts);
}

/** With the outputs locked: asks the hook, and else builds here. */
async function attemptBuild(
  run: BuildRun,
  goal: DerivationGoal,
  ready: ReadyBuild,
  where: "here" | "anywhere",
  slotBefore: Slot,
): Promise<{ readonly result: Attempt; readonly slot: Slot }> {
  const { slots, store } = run;
  const { drvPath } = goal;
  let slot = slotBefore;
  if (run.hook !== undefined && where === "anywhere") {
    const reply = await tryBuildHook(run, run.hook, goal, ready, cacheFailure);
    if (reply.kind === "over") return { result: reply, slot };
    if (reply.kind === "postpone") {
      const reason = `waiting for a machine to build '${showPath(store, drvPath)}'`;
      return { result: { kind: "wait", reason }, slot };
    }
  }
  if (slot === "free") {
    const limit = maxJobs(run, drvPath);
    if (limit === 0) {
      if (run.working > 0) return { result: { kind: "wait", reason: "waiting for a machine that can build" }, slot };
      throw new BuildFailure("misc-failure", noSlots);
    }
    if (!slots.tryTake(limit)) return { result: { kind: "wait-for-slot", limit }, slot };
    slot = "taken";
  }
  store.makeRoom("in-background");
  const user = takeUser(run);
  if (user === "none-free") {
    return { result: { kind: "wait", reason: `waiting for UID to build '${showPath(store, drvPath)}'` }, slot };
  }
  try {
    return { result: { kind: "over", outcome: await buildWith(run, goal, ready, user) }, slot };
  } finally {
    user?.release();
  }
}

const noSlots =
  "unable to start any build; either increase '--max-jobs' or enable remote builds.\n" +
  "https://nixos.org/manual/nix/stable/advanced-topics/distributed-builds.html";

/** Undefined where builds run as the caller. @throws BuildFailure */
function takeUser({ store }: BuildRun): TakenUser | undefined | "none-free" {
  const group = store.settings.get("build-users-group");
  if (group === "" || process.geteuid!() !== 0) return undefined;
  return tryTakeBuildUser(store.stateDir, group) ?? "none-free";
}

async function buildWith(
  run: BuildRun,
  goal: DerivationGoal,
  ready: ReadyBuild,
  user: TakenUser | undefined,
): Promise<GoalOutcome> {
  run.working++;
  goal.startTimeSec = now();
  try {
    const infos = await buildHere(run, ready, user?.user);
    for (const { path } of infos.values()) {
      run.graph.markValid(path);
      if (ready.mode === "repair") run.contents.set(path, "good");
    }
    traceBuild(run, `build-succeeded ${showPath(run.store, goal.drvPath)} -`);
    return { kind: "success", status: "built" };
  } catch (error) {
    if (error instanceof HashMismatch) run.failures.add("hash-mismatch");
    if (error instanceof OutputDiffers) run.failures.add("check-mismatch");
    if (error instanceof BuildFailure) cacheFailure(run, ready, error);
    throw error;
  } finally {
    goal.stopTimeSec = now();
    run.working--;
  }
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}

/** Remembers what will fail again (`build-cache-failure`). */
function cacheFailure({ store, graph }: BuildRun, { drvPath, drv }: ReadyBuild, { status }: BuildFailure): void {
  if (!store.settings.get("build-cache-failure") || isFixedOutput(drv)) return;
  if (status !== "permanent-failure" && status !== "output-rejected") return;
  for (const path of graph.outputsOf(drvPath)!.values()) registerFailedPath(store, path);
}
