/** Goals: making a derivation's outputs or a path valid. Each is started once and awaited by whoever needs it. */
import type { BuildStatus } from "../formats/worker-protocol/build-result.ts";
import { type BuildFailure, printErrorText } from "./build-failure.ts";
import type { BuildRun } from "./build-run.ts";

export type GoalOutcome =
  | { readonly kind: "success"; readonly status: Extract<BuildStatus, "built" | "substituted" | "already-valid"> }
  | { readonly kind: "failed"; readonly failure: BuildFailure }
  /** Nobody has the path; no failure to speak of, as it may be built. */
  | { readonly kind: "no-substituters" }
  /** Somebody has the path, but nobody what it refers to. */
  | { readonly kind: "incomplete-closure" };

export interface Goal {
  readonly outcome: Promise<GoalOutcome>;
  /** Other goals that wait for it. Without any, its failure is for whoever asked to tell. */
  waiters: number;
}

/** How goals that were waited for have ended. */
export interface Tally {
  failed: number;
  noSubstituters: number;
  incompleteClosure: number;
}

/**
 * Waits for all, or without `keep-going` until one has failed. `failed` counts all that were no success.
 * @throws (rejects) when the run is stopped
 */
export async function waitForGoals(run: BuildRun, goals: readonly Goal[]): Promise<Tally> {
  const tally: Tally = { failed: 0, noSubstituters: 0, incompleteClosure: 0 };
  if (goals.length === 0) return tally;
  for (const goal of goals) goal.waiters++;
  const keepGoing = run.store.settings.get("keep-going");
  await new Promise<void>((resolve, reject) => {
    let left = goals.length;
    for (const { outcome } of goals) {
      outcome.then((result) => {
        if (left === 0) return; // decided already
        left--;
        if (result.kind !== "success") tally.failed++;
        if (result.kind === "no-substituters") tally.noSubstituters++;
        if (result.kind === "incomplete-closure") tally.incompleteClosure++;
        if (result.kind === "failed" && !keepGoing) left = 0;
        if (left === 0) resolve();
      }, reject);
    }
  });
  return tally;
}

/** Starts a goal, not at once but soon: whoever starts many must not be called back by each, one inside the other. */
export function startGoal(run: BuildRun, work: () => Promise<GoalOutcome>): Goal {
  const goal: { outcome: Promise<GoalOutcome>; waiters: number } = {
    outcome: Promise.resolve().then(async () => {
      run.signal.throwIfAborted();
      const outcome = await work();
      if (outcome.kind === "failed" && goal.waiters > 0) tellFailure(run, outcome.failure);
      return outcome;
    }),
    waiters: 0,
  };
  goal.outcome.catch(() => {}); // whoever waits for it hears it; a stopped run waits for nobody
  return goal;
}

export function tellFailure(run: BuildRun, failure: BuildFailure): void {
  run.store.reporter.message("error", printErrorText(failure.message));
}
