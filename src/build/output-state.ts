/** What is true of the path of an output, as far as a build has to know. */
import type { StorePath } from "../formats/store-path.ts";
import type { BuildMode } from "../store/build-service.ts";
import { hasPathFailed } from "../store/failed-paths.ts";
import { showPath } from "../store/local-store.ts";
import { BuildFailure } from "./build-failure.ts";
import { type BuildRun, traceBuild } from "./build-run.ts";
import type { OutputState } from "./output-plan.ts";
import { pathContents } from "./path-contents.ts";

/** Only for repairing are contents read. */
export function outputState(run: BuildRun, path: StorePath, mode: BuildMode): OutputState {
  if (!run.graph.isKnownValid(path)) return "absent";
  return mode !== "repair" || pathContents(run, path) === "good" ? "valid" : "corrupt";
}

/** @throws BuildFailure for an output that failed before, when such failures are remembered */
export function refuseCachedFailure(run: BuildRun, drvPath: StorePath, paths: readonly StorePath[]): void {
  const { store } = run;
  if (!store.settings.get("build-cache-failure")) return;
  const cached = paths.find((path) => hasPathFailed(store, path));
  if (cached === undefined) return;
  traceBuild(run, `build-failed ${showPath(store, drvPath)} - cached`);
  throw new BuildFailure("cached-failure", `builder for '${showPath(store, cached)}' failed previously (cached)`);
}
