/**
 * Fetching a path: substituters are asked in order; from the first that has it, and has all that it refers to, it is
 * fetched with its references before it.
 */
import { equalHashes, type Hash, printHash } from "../formats/hash.ts";
import type { StorePath } from "../formats/store-path.ts";
import { SiloError } from "../error.ts";
import { LacksSignature, requireVouched } from "../store/add-with-info.ts";
import { type LocalStore, realPath, showPath } from "../store/local-store.ts";
import { requireWritable } from "../store/open-local-store.ts";
import { type PathLocks, tryLockPaths } from "../store/path-locks.ts";
import { placeLockedObject } from "../store/place-object.ts";
import { isValidPath } from "../store/queries.ts";
import { openTreeReceiver, type ReceivedTree } from "../store/receive-tree.ts";
import type { SubstitutablePathInfo, Substituter } from "../store/substituter.ts";
import { asBuildFailure, BuildFailure, Interrupted, printErrorText } from "./build-failure.ts";
import { type BuildRun, pollIntervalMs, traceBuild } from "./build-run.ts";
import { Goal, type GoalOutcome, waitForGoals } from "./goal.ts";

/** `repair` fetches a valid path again. */
export type SubstitutionMode = "normal" | "repair";

/** The goal for the path: the same one however often it is asked for, but one that got nowhere is tried again. */
export function substitutionGoal(run: BuildRun, path: StorePath, mode: SubstitutionMode): Goal {
  const known = run.substitutionGoals.get(path);
  if (known !== undefined) return known;
  const goal = new Goal();
  goal.start(run, async () => {
    const outcome = await substitute(run, path, mode);
    // What is missing may be built meanwhile, this path or one that it refers to.
    if (outcome.kind !== "success") run.substitutionGoals.delete(path);
    else if (mode === "repair") run.contents.set(path, "good");
    return outcome;
  });
  run.substitutionGoals.set(path, goal);
  return goal;
}

async function substitute(run: BuildRun, path: StorePath, mode: SubstitutionMode): Promise<GoalOutcome> {
  const { store } = run;
  store.tempRoots.add([showPath(store, path)]);
  if (mode === "normal" && isValidPath(store, path)) return alreadyValid(run, path);
  try {
    requireWritable(store);
    let failed: SiloError | undefined;
    for (const substituter of run.substituters) {
      const result = await tryOne(run, substituter, path, mode);
      if (result.kind === "outcome") return result.outcome;
      if (result.kind === "failed") failed = result.error;
    }
    if (failed === undefined) return { kind: "no-substituters" };
    run.progress.substitutions.failed++;
    run.progress.changed();
    const message = `path '${showPath(store, path)}' is required, but there is no substituter that can build it`;
    return { kind: "failed", failure: new BuildFailure("no-substituters", message, { cause: failed }) };
  } catch (error) {
    return { kind: "failed", failure: asBuildFailure(error) };
  }
}

function alreadyValid(run: BuildRun, path: StorePath): GoalOutcome {
  run.graph.markValid(path);
  return { kind: "success", status: "already-valid" };
}

type Attempt =
  | { readonly kind: "outcome"; readonly outcome: GoalOutcome }
  | { readonly kind: "next" }
  | { readonly kind: "failed"; readonly error: SiloError };

async function tryOne(
  run: BuildRun,
  substituter: Substituter,
  path: StorePath,
  mode: SubstitutionMode,
): Promise<Attempt> {
  const { store, progress } = run;
  const info = await askInfo(run, substituter, path);
  if (info === undefined || !isVouched(run, substituter, info)) return { kind: "next" };
  const references = info.references.filter((reference) => reference !== path);
  const tally = await waitForGoals(
    run,
    references.map((reference) => substitutionGoal(run, reference, "normal")),
  );
  if (tally.failed > 0) {
    if (tally.noSubstituters > 0 || tally.incompleteClosure > 0) {
      return { kind: "outcome", outcome: { kind: "incomplete-closure" } };
    }
    const message = `some references of path '${showPath(store, path)}' could not be realised`;
    return { kind: "outcome", outcome: { kind: "failed", failure: new BuildFailure("dependency-failed", message) } };
  }
  const counts = progress.substitutions;
  counts.expected++;
  progress.expectedDownload += info.downloadSize ?? 0;
  progress.expectedNar += info.narSize ?? 0;
  progress.changed();
  try {
    return await fetchLocked(run, substituter, info, mode);
  } catch (error) {
    if (error instanceof Interrupted || !(error instanceof SiloError)) throw error;
    run.signal.throwIfAborted();
    store.reporter.message("error", printErrorText(error.message));
    traceBuild(run, `substituter-failed ${showPath(store, path)} 1 ${error.message}`);
    return { kind: "failed", error };
  } finally {
    counts.expected--;
    progress.changed();
  }
}

/** Undefined when it does not have the path, or cannot be asked and `fallback` is on. @throws SiloError */
async function askInfo(
  run: BuildRun,
  substituter: Substituter,
  path: StorePath,
): Promise<SubstitutablePathInfo | undefined> {
  try {
    return await run.infos.ask(substituter, path);
  } catch (error) {
    if (!(error instanceof SiloError) || !run.store.settings.get("fallback")) throw error;
    run.store.reporter.message("error", printErrorText(error.message));
    return undefined;
  }
}

/** Before the path is fetched: may we take it from there? */
function isVouched({ store }: BuildRun, substituter: Substituter, info: SubstitutablePathInfo): boolean {
  if (substituter.trusted || !store.settings.get("require-sigs")) return true;
  if (info.narHash !== undefined) {
    try {
      requireVouched(store, pathInfo(info, info.narHash, info.narSize));
      return true;
    } catch (error) {
      if (!(error instanceof LacksSignature)) throw error;
    }
  }
  const what = `substitute for '${showPath(store, info.path)}' from '${substituter.name}'`;
  const reason = "as it's not signed by any of the keys in 'trusted-public-keys'";
  store.reporter.message("warning", `warning: ignoring ${what}, ${reason}`);
  return false;
}

function pathInfo(info: SubstitutablePathInfo, narHash: Hash, narSize: number | undefined) {
  return {
    path: info.path,
    narHash,
    narSize,
    references: [...info.references].sort(),
    deriver: info.deriver,
    registrationTimeSec: Math.floor(Date.now() / 1000),
    ultimate: false,
    signatures: info.signatures,
    contentAddress: info.contentAddress,
  };
}

/** With a slot and the path's lock. @throws SiloError when fetching fails */
async function fetchLocked(
  run: BuildRun,
  substituter: Substituter,
  info: SubstitutablePathInfo,
  mode: SubstitutionMode,
): Promise<Attempt> {
  const { store, slots, progress } = run;
  const { path } = info;
  const locks = await takeSlotAndLock(run, path);
  let files: "delete" | "keep" = "keep";
  try {
    if (mode === "normal" && isValidPath(store, path)) {
      files = "delete";
      return { kind: "outcome", outcome: alreadyValid(run, path) };
    }
    progress.substitutions.running++;
    progress.changed();
    run.working++;
    try {
      traceBuild(run, `substituter-started ${showPath(store, path)} ${substituter.name}`);
      const tree = await receive(run, substituter, info);
      try {
        placeLockedObject(store, tree, pathInfo(info, tree.hash, tree.size));
      } finally {
        tree.discard();
      }
    } finally {
      run.working--;
      progress.substitutions.running--;
    }
    files = "delete";
    run.graph.markValid(path);
    progress.substitutions.done++;
    traceBuild(run, `substituter-succeeded ${showPath(store, path)}`);
    store.reporter.message("chatty", `substitution of path '${showPath(store, path)}' succeeded`);
    return { kind: "outcome", outcome: { kind: "success", status: "substituted" } };
  } finally {
    locks.release(files);
    slots.release();
    run.changes.announce();
  }
}

async function takeSlotAndLock(run: BuildRun, path: StorePath): Promise<PathLocks> {
  const { slots, store, signal } = run;
  // Nobody else can fetch for us, so there is a slot even when there is none for builds.
  const limit = Math.max(1, store.settings.get("max-jobs"));
  for (let round = 0; ; round++) {
    await slots.take(limit, signal);
    const locks = tryLockPaths([realPath(store, path)]);
    if (locks !== undefined) return locks;
    slots.release();
    if (round === 0) store.reporter.message("warning", `waiting for lock on '${showPath(store, path)}'...`);
    await run.changes.next(pollIntervalMs(run), signal);
  }
}

async function receive(run: BuildRun, substituter: Substituter, info: SubstitutablePathInfo): Promise<ReceivedTree> {
  const { store } = run;
  const shown = showPath(store, info.path);
  const outer = store.reporter.start({
    kind: "substitute",
    level: "error",
    text: "",
    fields: [shown, substituter.name],
  });
  const activity = store.reporter.start({
    kind: "copy-path",
    level: "info",
    text: `copying path '${shown}' from '${substituter.name}'`,
    fields: [shown, substituter.name, "local"],
    parent: outer,
  });
  const receiver = openTreeReceiver(store);
  try {
    const { narHash } = await substituter.fetch(info.path, receiver.visitor, run.signal);
    run.signal.throwIfAborted();
    const tree = receiver.finish();
    try {
      for (const stated of [narHash, info.narHash])
        if (stated !== undefined) compareHash(store, info.path, stated, tree.hash);
    } catch (error) {
      tree.discard();
      throw error;
    }
    return tree;
  } catch (error) {
    receiver.abandon();
    throw error;
  } finally {
    activity.stop();
    outer.stop();
  }
}

function compareHash(store: LocalStore, path: StorePath, stated: Hash, actual: Hash): void {
  if (stated.algo !== actual.algo) return; // of 1.7, in an algorithm that nobody computed
  if (equalHashes(stated, actual)) return;
  const [expected, got] = [printHash(stated, "base32"), printHash(actual, "base32")];
  throw new BuildFailure(
    "output-rejected",
    `hash mismatch importing path '${showPath(store, path)}';\n  specified: ${expected}\n  got:       ${got}`,
  );
}
