/** What a run leaves on the terminal: `18 built, 1 failed, 3 fetched (12.3 MiB) in 41s`. */
import { showBytes } from "../silo/show-bytes.ts";
import type { ProgressModel } from "./progress-model.ts";
import { showElapsed } from "./show-elapsed.ts";

/** Undefined when there is nothing to tell. */
export function runSummary(model: ProgressModel, elapsedMs: number): string | undefined {
  const builds = model.tally("builds");
  const copies = model.tally("copy-paths");
  const bytes = model.received().done;
  const parts: string[] = [];
  if (builds.done > 0) parts.push(`${builds.done} built`);
  if (builds.failed > 0) parts.push(`${builds.failed} failed`);
  // Without keep-going a failure ends the other builds, and Ctrl-C all of them.
  const stopped = model.buildsBegun() - builds.done - builds.failed;
  if (stopped > 0) parts.push(`${stopped} stopped`);
  if (copies.done > 0) parts.push(`${copies.done} fetched${bytes > 0 ? ` (${showBytes(bytes)})` : ""}`);
  if (copies.failed > 0) parts.push(`${copies.failed} not fetched`);
  return parts.length === 0 ? undefined : `${parts.join(", ")} in ${showElapsed(elapsedMs)}`;
}
