/** Paths of the store on this machine, as they are sent to another. */
import type { StorePath } from "../formats/store-path.ts";
import { type LocalStore, realPath, showPath } from "../store/local-store.ts";
import type { PathInfo } from "../store/path-info.ts";
import { narChunks } from "../store/tree/nar-chunks.ts";
import { describeTree, type LinkNames, linkNames } from "./delta/describe-tree.ts";
import { fileContents } from "./delta/file-contents.ts";
import type { PathUpload } from "./remote-store.ts";

/** Milliseconds of hashing after which others get their turn. */
const maxBlocking = 30;

/** The paths become temporary roots. */
export function localUploads(store: LocalStore, infos: readonly PathInfo[]): PathUpload[] {
  store.tempRoots.add(infos.map(({ path }) => showPath(store, path)));
  let links: LinkNames | undefined;
  const describe = async (path: StorePath) => {
    links ??= linkNames(store);
    const steps = describeTree(store, path, links);
    for (let start = performance.now(); ; ) {
      const step = steps.next();
      if (step.done) return step.value;
      if (performance.now() - start < maxBlocking) continue;
      await new Promise((resolve) => setImmediate(resolve));
      start = performance.now();
    }
  };
  return infos.map((info) => ({
    info,
    nar: () => narChunks(realPath(store, info.path)),
    comparison: {
      describe: () => describe(info.path),
      contents: (tree, wanted) => fileContents(store, info.path, tree, wanted),
    },
  }));
}
