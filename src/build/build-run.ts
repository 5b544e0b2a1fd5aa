/** What the goals of one request share: the store and what helps it, slots, what is known, what has gone wrong. */
import type { BasicDerivation } from "../formats/derivation/derivation.ts";
import type { StorePath } from "../formats/store-path.ts";
import type { BuildHook } from "../store/build-hook.ts";
import type { BuilderRunner } from "../store/builder-runner.ts";
import type { Environment } from "../store/directories.ts";
import type { LocalStore } from "../store/local-store.ts";
import type { Substituter } from "../store/substituter.ts";
import { collectEvery } from "../sys/memory.ts";
import { FailureKinds, Interrupted } from "./build-failure.ts";
import { BuildSlots, Changes } from "./build-slots.ts";
import type { DerivationGoal } from "./derivation-goal.ts";
import type { Goal } from "./goal.ts";
import type { KnownGraph } from "./known-graph.ts";
import type { PathContents } from "./path-contents.ts";
import { BuildProgress } from "./progress.ts";
import { SubstituteInfos } from "./substitute-infos.ts";

/** Who does what the scheduler only decides. */
export interface BuildHelpers {
  readonly store: LocalStore;
  readonly runBuilder: BuilderRunner;
  /** In the order in which they are asked. None when the setting `substitute` is off. */
  readonly substituters: readonly Substituter[];
  readonly hook: BuildHook | undefined;
  readonly options: BuildOptions;
}

/** What a failure shows of the log: nothing, as it was shown when it came, or its end and the command that prints it whole. */
export type FailureLog = "none" | "silo log" | "nix log";

export interface BuildOptions {
  /** Of whoever asks: TMPDIR, `impureEnvVars`, what hooks inherit. */
  readonly callerEnv: Environment;
  readonly failureLog: FailureLog;
  /** The lines of Nix 1.7's `--print-build-trace`. */
  readonly trace: "printed" | "not-printed";
}

export interface BuildRun extends BuildHelpers {
  readonly slots: BuildSlots;
  /** Something that others of this process may wait for has been given up. */
  readonly changes: Changes;
  readonly graph: KnownGraph;
  readonly infos: SubstituteInfos;
  readonly failures: FailureKinds;
  readonly progress: BuildProgress;
  /** Aborts when the caller's signal does, or when a target has failed and the rest is not wanted any more. */
  readonly signal: AbortSignal;
  stop(): void;
  readonly derivationGoals: Map<StorePath, DerivationGoal>;
  readonly substitutionGoals: Map<StorePath, Goal>;
  /** As far as they have been read, for repairing. */
  readonly contents: Map<StorePath, PathContents>;
  /** Derivations that are not in the store, by the path that they would have. */
  readonly derivationsInMemory: ReadonlyMap<StorePath, BasicDerivation>;
  /** To be called for every goal that begins or ends, as they leave much behind. */
  readonly tidy: () => void;
  /** Builds and substitutions at work, on this machine or another. */
  working: number;
}

export function startRun(
  helpers: BuildHelpers,
  signal: AbortSignal,
  graph: KnownGraph,
  derivationsInMemory: ReadonlyMap<StorePath, BasicDerivation> = new Map(),
): BuildRun {
  const controller = new AbortController();
  const stop = () => controller.abort(new Interrupted());
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  const { store } = helpers;
  return {
    ...helpers,
    substituters: store.settings.get("substitute") ? helpers.substituters : [],
    slots: new BuildSlots(),
    changes: new Changes(),
    graph,
    infos: new SubstituteInfos(),
    failures: new FailureKinds(),
    progress: new BuildProgress(store.reporter),
    signal: controller.signal,
    stop,
    derivationGoals: new Map(),
    substitutionGoals: new Map(),
    contents: new Map(),
    derivationsInMemory,
    tidy: collectEvery(2500),
    working: 0,
  };
}

/** A line of Nix 1.7's build trace. */
export function traceBuild({ options, store }: BuildHelpers, line: string): void {
  if (options.trace === "printed") store.reporter.message("error", `@ ${line}`);
}

export function pollIntervalMs({ store }: BuildHelpers): number {
  return Math.max(store.settings.get("build-poll-interval"), 0.1) * 1000;
}
