/** Are the contents of a valid path what was registered? Asked when repairing only, and looked at once a run. */
import { equalHashes } from "../formats/hash.ts";
import type { StorePath } from "../formats/store-path.ts";
import { realPath, showPath } from "../store/local-store.ts";
import { requirePathInfo } from "../store/queries.ts";
import { hashTree } from "../store/tree/nar-hash.ts";
import { UnsupportedFile } from "../store/tree/walk.ts";
import { exists } from "../sys/names.ts";
import type { BuildRun } from "./build-run.ts";

/** `damaged`: missing as well. */
export type PathContents = "good" | "damaged";

/** Tells of what is damaged. @throws SystemError */
export function pathContents(run: BuildRun, path: StorePath): PathContents {
  const known = run.contents.get(path);
  if (known !== undefined) return known;
  const { reporter } = run.store;
  const shown = showPath(run.store, path);
  reporter.message("info", `checking path '${shown}'...`);
  const contents = readContents(run, path);
  if (contents === "damaged") reporter.message("error", `path '${shown}' is corrupted or missing!`);
  run.contents.set(path, contents);
  return contents;
}

function readContents({ store }: BuildRun, path: StorePath): PathContents {
  const { narHash, narSize } = requirePathInfo(store, path);
  const file = realPath(store, path);
  if (!exists(file)) return "damaged";
  if (narHash.bytes.every((byte) => byte === 0)) return "good"; // an old store did not know it
  try {
    return equalHashes(hashTree(file, narHash.algo, undefined, narSize).hash, narHash) ? "good" : "damaged";
  } catch (error) {
    if (error instanceof UnsupportedFile) return "damaged";
    throw error;
  }
}
