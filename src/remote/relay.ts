/** Closures between two stores of which neither is open here: another machine's and that of the daemon, say. Nothing is kept on the way. */
import { SiloError } from "../error.ts";
import { printStorePath, type StorePath } from "../formats/store-path.ts";
import { InvalidPath, type PathInfo } from "../store/path-info.ts";
import type { Reporter } from "../store/reporter.ts";
import { copyProgress, type CopyOptions, type CopyResult, copySummary, sortInfos } from "./copy-closure.ts";
import type { PathUpload, RemotePathInfo, RemoteStore } from "./remote-store.ts";

/** A source is too old to tell what a receiver must know. */
export class CannotRelay extends SiloError {
  readonly code = "cannot-relay";
}

export async function relayClosure(
  source: RemoteStore,
  sink: RemoteStore,
  roots: readonly StorePath[],
  { outputs, substitute, run }: CopyOptions,
  reporter: Reporter,
): Promise<CopyResult> {
  const { storeDir } = source;
  const closure = await source.computeClosure(roots, outputs);
  const rooted = await source.queryValidPaths(closure, { roots: "take", substitute: "no" });
  for (const root of roots) if (!rooted.has(root)) throw new InvalidPath(printStorePath(storeDir, root));
  const valid = await sink.queryValidPaths(closure, { roots: "take", substitute });
  const infoByPath = await source.queryPathInfos(closure.filter((path) => !valid.has(path)));
  const infos = sortInfos(storeDir, [...infoByPath.values()]);
  const progress = copyProgress(reporter, storeDir, infos, (shown) => `copying path '${shown}' to '${sink.name}'`, run);
  if (run === "copy" && infos.length > 0) {
    try {
      await sink.upload(uploads(source, infos), progress.onPath);
    } finally {
      progress.stop();
    }
  }
  return copySummary(infos);
}

/** Each is fetched when it is sent. */
function uploads(source: RemoteStore, infos: readonly RemotePathInfo[]): PathUpload[] {
  const downloads = source.download(infos);
  return infos.map((info) => ({
    info: requireHash(source, info),
    comparison: undefined,
    async *nar() {
      const { value, done } = await downloads.next();
      if (done || value.info.path !== info.path) throw new Error("paths are sent in their order");
      yield* value.bytes();
    },
  }));
}

function requireHash(source: RemoteStore, info: RemotePathInfo): PathInfo {
  const { narHash } = info;
  if (narHash === undefined) throw new CannotRelay(`'${source.name}' does not tell the hash of '${info.path}'`);
  return { ...info, narHash };
}
