/**
 * Goals: making a derivation's outputs or a path valid. Each is started once and awaited by whoever needs it. There are
 * as many at once as derivations in the graph, so what waits for them is kept small: a list of waits, no promises.
 */
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

export class Goal {
  private state: "pending" | "over" | "broken" = "pending";
  private result: GoalOutcome | undefined;
  private error: unknown;
  private waits: Wait[] = [];
  /** Do other goals wait for it, or have they? Without any, its failure is for whoever asked to tell. */
  awaited: "by-goals" | "by-nobody-else" = "by-nobody-else";

  /** Begins to work, not at once but soon: whoever starts many must not be called back by each, one inside the other. */
  start(run: BuildRun, work: () => Promise<GoalOutcome>): void {
    void this.work(run, work);
  }

  /** The outcome. @throws (rejects) when the run is stopped */
  async ended(): Promise<GoalOutcome> {
    await waitFor([this], "all");
    return this.result!;
  }

  /** Undefined until it is over. */
  get outcome(): GoalOutcome | undefined {
    return this.result;
  }

  /** Has `wait` told when this is over. */
  join(wait: Wait): void {
    if (this.state === "pending") this.waits.push(wait);
    else if (this.state === "over") wait.take(this.result!);
    else wait.fail(this.error);
  }

  private async work(run: BuildRun, work: () => Promise<GoalOutcome>): Promise<void> {
    await undefined;
    try {
      run.signal.throwIfAborted();
      this.result = await work();
      this.state = "over";
    } catch (error) {
      this.error = error;
      this.state = "broken";
    }
    const { result } = this;
    if (result?.kind === "failed" && this.awaited === "by-goals") tellFailure(run, result.failure);
    for (const wait of this.waits.splice(0)) {
      if (result === undefined) wait.fail(this.error);
      else wait.take(result);
    }
  }
}

/** How goals that were waited for have ended. */
export interface Tally {
  /** All that were no success. */
  failed: number;
  noSubstituters: number;
  incompleteClosure: number;
}

class Wait {
  readonly tally: Tally = { failed: 0, noSubstituters: 0, incompleteClosure: 0 };

  constructor(
    private left: number,
    private readonly until: "all" | "failure",
    private readonly resolve: (tally: Tally) => void,
    private readonly reject: (error: unknown) => void,
  ) {}

  take(result: GoalOutcome): void {
    if (this.left === 0) return; // decided already
    this.left--;
    if (result.kind !== "success") this.tally.failed++;
    if (result.kind === "no-substituters") this.tally.noSubstituters++;
    if (result.kind === "incomplete-closure") this.tally.incompleteClosure++;
    if (result.kind === "failed" && this.until === "failure") this.left = 0;
    if (this.left === 0) this.resolve(this.tally);
  }

  fail(error: unknown): void {
    this.left = 0;
    this.reject(error);
  }
}

function waitFor(goals: readonly Goal[], until: "all" | "failure"): Promise<Tally> {
  return new Promise((resolve, reject) => {
    const wait = new Wait(goals.length, until, resolve, reject);
    if (goals.length === 0) resolve(wait.tally);
    for (const goal of goals) goal.join(wait);
  });
}

/** Waits for targets: for all, or without `keep-going` until one has failed. @throws (rejects) when the run is stopped */
export function waitForTargets(run: BuildRun, goals: readonly Goal[]): Promise<Tally> {
  return waitFor(goals, run.store.settings.get("keep-going") ? "all" : "failure");
}

/** As {@link waitForTargets}, for a goal that needs these. */
export function waitForGoals(run: BuildRun, goals: readonly Goal[]): Promise<Tally> {
  for (const goal of goals) goal.awaited = "by-goals";
  return waitForTargets(run, goals);
}

export function tellFailure(run: BuildRun, failure: BuildFailure): void {
  run.store.reporter.message("error", printErrorText(failure.message));
}
