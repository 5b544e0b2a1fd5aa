/** Copying closures between the store on this machine and another: only what the receiver lacks, which one question tells. */
import { printStorePath, type StoreDir, type StorePath } from "../formats/store-path.ts";
import { computeSortedClosure } from "../store/closure.ts";
import { type LocalStore, showPath } from "../store/local-store.ts";
import { InvalidPath } from "../store/path-info.ts";
import { queryPathInfos, queryValidPaths } from "../store/queries.ts";
import type { Reporter } from "../store/reporter.ts";
import { topologicalOrder } from "../store/topological-order.ts";
import { localUploads } from "./local-uploads.ts";
import { receiveDownloads } from "./receive-downloads.ts";
import type { RemotePathInfo, RemoteStore } from "./remote-store.ts";

export interface CopyOptions {
  /** Of derivations, their outputs and the closures of these, too. */
  readonly outputs: "include" | "leave-out";
  /** Have the receiver fetch what it can. */
  readonly substitute: "use" | "no";
  /** `dry` only says what would be copied. */
  readonly run: "copy" | "dry";
}

/** What was copied, in order. */
export interface CopyResult {
  readonly paths: readonly StorePath[];
  /** Bytes of the paths, however few of them had to travel. */
  readonly narSize: number;
}

/** @throws (rejects) InvalidPath, RemoteEnded */
export async function copyClosureTo(
  store: LocalStore,
  remote: RemoteStore,
  roots: readonly StorePath[],
  { outputs, substitute, run }: CopyOptions,
): Promise<CopyResult> {
  const { reporter } = store;
  const closure = computeSortedClosure(store, roots, "references", { outputs: outputs === "include" });
  store.tempRoots.add(closure.map((path) => showPath(store, path)));
  const valid = await remote.queryValidPaths(closure, { roots: "take", substitute });
  const infoByPath = queryPathInfos(
    store,
    closure.filter((path) => !valid.has(path)),
  );
  const infos = closure.flatMap((path) => infoByPath.get(path) ?? []);
  const progress = copyProgress(
    reporter,
    store.storeDir,
    infos,
    (shown) => `copying path '${shown}' to '${remote.name}'`,
    run,
  );
  if (run === "copy" && infos.length > 0) {
    try {
      await remote.upload(localUploads(store, infos), progress.onPath);
    } finally {
      progress.stop();
    }
  }
  return copySummary(infos);
}

/** @param reopen another conversation with the same store @throws (rejects) InvalidPath, RemoteEnded */
export async function copyClosureFrom(
  store: LocalStore,
  remote: RemoteStore,
  roots: readonly StorePath[],
  { outputs, run }: CopyOptions,
  reopen: () => Promise<RemoteStore>,
): Promise<CopyResult> {
  // Roots over there first: its collector must not be faster than we.
  const closure = await remote.computeClosure(roots, outputs);
  const [locked] = await Promise.all([
    remote.queryValidPaths(closure, { roots: "take", substitute: "no" }),
    Promise.resolve(store.tempRoots.add(closure.map((path) => showPath(store, path)))),
  ]);
  for (const root of roots) if (!locked.has(root)) throw new InvalidPath(showPath(store, root));
  const valid = queryValidPaths(store, closure);
  const infoByPath = await remote.queryPathInfos(closure.filter((path) => !valid.has(path)));
  const infos = sortInfos(store.storeDir, [...infoByPath.values()]);
  const progress = copyProgress(
    store.reporter,
    store.storeDir,
    infos,
    (shown) => `copying path '${shown}' from '${remote.name}'`,
    run,
  );
  if (run === "copy" && infos.length > 0) {
    try {
      await receiveDownloads(store, remote, infos, progress.onPath, reopen);
    } finally {
      progress.stop();
    }
  }
  return copySummary(infos);
}

/** A path after what it refers to. @throws CyclicReferences */
export function sortInfos(storeDir: StoreDir, infos: readonly RemotePathInfo[]): RemotePathInfo[] {
  const positions = new Map(infos.map(({ path }, i) => [path, i]));
  const references = infos.map((info) => info.references.flatMap((reference) => positions.get(reference) ?? []));
  return topologicalOrder(references, (i) => printStorePath(storeDir, infos[i]!.path)).map((i) => infos[i]!);
}

/** What a copy of these comes to. */
export function copySummary(infos: readonly RemotePathInfo[]): CopyResult {
  return { paths: infos.map(({ path }) => path), narSize: infos.reduce((sum, { narSize }) => sum + (narSize ?? 0), 0) };
}

/** Says what is copied, or for a dry run what would be. */
export function copyProgress(
  reporter: Reporter,
  storeDir: StoreDir,
  infos: readonly RemotePathInfo[],
  describe: (shownPath: string) => string,
  run: CopyOptions["run"],
): { onPath(info: RemotePathInfo): void; stop(): void } {
  const expected = infos.length;
  if (expected === 0) return { onPath() {}, stop() {} };
  if (run === "dry") {
    const lines = infos.map(({ path }) => `\n  ${printStorePath(storeDir, path)}`);
    reporter.message("error", `these ${expected} paths would be copied:${lines.join("")}`);
    return { onPath() {}, stop() {} };
  }
  const all = reporter.start({ kind: "copy-paths", level: "info", text: `copying ${expected} paths` });
  let done = 0;
  return {
    onPath({ path }) {
      reporter
        .start({ kind: "copy-path", level: "info", text: describe(printStorePath(storeDir, path)), parent: all })
        .stop();
      all.result({ kind: "progress", done: ++done, expected, running: 0, failed: 0 });
    },
    stop: () => all.stop(),
  };
}
