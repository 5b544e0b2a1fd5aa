/** Building through the build hook: on another machine, with the log kept here. */
import type { BuildHook, HookReply } from "../store/build-hook.ts";
import { showPath } from "../store/local-store.ts";
import { queryValidPaths } from "../store/queries.ts";
import { isFixedOutput } from "../formats/derivation/derivation.ts";
import { BuildFailure, type FailureStatus, HookFailure } from "./build-failure.ts";
import { openBuildLog } from "./build-log.ts";
import { type BuildRun, traceBuild } from "./build-run.ts";
import { canBuildHere } from "./derivation-attributes.ts";
import type { DerivationGoal } from "./derivation-goal.ts";
import type { GoalOutcome } from "./goal.ts";
import { printTail, type ReadyBuild, startBuildActivity } from "./local-build.ts";
import { LogWatch } from "./log-watch.ts";

export type HookAttempt =
  | { readonly kind: "over"; readonly outcome: GoalOutcome }
  | { readonly kind: "decline" }
  | { readonly kind: "postpone" };

/** @param onFailure told of a failure of the build itself @throws BuildFailure */
export async function tryBuildHook(
  run: BuildRun,
  hook: BuildHook,
  goal: DerivationGoal,
  ready: ReadyBuild,
  onFailure: (run: BuildRun, ready: ReadyBuild, failure: BuildFailure) => void,
): Promise<HookAttempt> {
  const { store } = run;
  const { drvPath, drv, attributes, inputs } = ready;
  const maxJobs = store.settings.get("max-jobs");
  const canBuild = canBuildHere(store.settings, drv, attributes);
  const localSlot = !canBuild || maxJobs === 0 ? "impossible" : run.slots.taken < maxJobs ? "free" : "busy";
  const paths = [...run.graph.outputsOf(drvPath)!.values()];
  const outputs = paths.filter((path) => !run.graph.isKnownValid(path));
  const reply = await hook.ask({ drvPath, derivation: drv, localSlot, inputs, outputs });
  if (reply.kind !== "accept") return reply;
  run.working++;
  goal.startTimeSec = Math.floor(Date.now() / 1000);
  try {
    await buildThere(run, ready, reply, onFailure);
  } finally {
    goal.stopTimeSec = Math.floor(Date.now() / 1000);
    run.working--;
    run.changes.announce();
  }
  const valid = queryValidPaths(store, paths);
  for (const path of paths) {
    if (!valid.has(path)) {
      const shown = showPath(store, path);
      throw new BuildFailure("misc-failure", `the build hook says that it has built '${shown}', but it is not valid`);
    }
    run.graph.markValid(path);
  }
  traceBuild(run, `build-succeeded ${showPath(store, drvPath)} -`);
  return { kind: "over", outcome: { kind: "success", status: "built" } };
}

const statusOf: Readonly<Record<"permanent" | "timed-out" | "misc", FailureStatus>> = {
  permanent: "permanent-failure",
  "timed-out": "timed-out",
  misc: "misc-failure",
};

async function buildThere(
  run: BuildRun,
  ready: ReadyBuild,
  reply: Extract<HookReply, { kind: "accept" }>,
  onFailure: (run: BuildRun, ready: ReadyBuild, failure: BuildFailure) => void,
): Promise<void> {
  const { store, progress } = run;
  const { settings } = store;
  const { drvPath, drv, mode } = ready;
  const shown = showPath(store, drvPath);
  const form = !settings.get("keep-build-log") ? "none" : settings.get("compress-build-log") ? "compressed" : "plain";
  const log = openBuildLog(store.logDir, drvPath, form);
  const activity = startBuildActivity(run, drvPath, mode, reply.machine);
  const watch = new LogWatch(store.reporter, activity, settings.get("log-lines"), "builder");
  progress.builds.running++;
  progress.changed();
  try {
    traceBuild(run, `build-started ${shown} - ${drv.system} ${log.file}`);
    const result = await reply.run((chunk) => {
      log.write(chunk);
      watch.feed(chunk);
    }, run.signal);
    run.signal.throwIfAborted();
    if (result.kind === "built") return;
    watch.finish();
    const tail = printTail(run.options.failureLog, watch.tail, shown);
    const isTransient = result.kind === "permanent" && isFixedOutput(drv);
    const status = isTransient ? "transient-failure" : statusOf[result.kind];
    const message = `builder for '${shown}' ${result.reason}${tail}`;
    if (result.kind !== "permanent") throw new HookFailure(status, message);
    const failure = new BuildFailure(status, message);
    onFailure(run, ready, failure);
    throw failure;
  } finally {
    progress.builds.running--;
    progress.changed();
    watch.finish();
    activity.stop();
    log.close();
  }
}
