/**
 * What making targets valid would take: what would be built, what fetched, and what nobody can make. Substituters are
 * asked in waves, each with all that is known to be needed by then. See the reference's queryMissing, and 2.8 for what it
 * looks at: the sources of a derivation in the store are there.
 */
import { type DerivedPath, printDerivedPath, wantOutput } from "../formats/derivation-outputs.ts";
import type { StorePath } from "../formats/store-path.ts";
import type { MissingPaths } from "../store/build-service.ts";
import type { LocalStore } from "../store/local-store.ts";
import { queryValidPaths } from "../store/queries.ts";
import type { SubstitutablePathInfo, Substituter } from "../store/substituter.ts";
import type { KnownGraph } from "./known-graph.ts";

export async function queryMissing(
  store: LocalStore,
  graph: KnownGraph,
  substituters: readonly Substituter[],
  targets: readonly DerivedPath[],
): Promise<MissingPaths> {
  const willBuild = new Set<StorePath>();
  const willSubstitute = new Map<StorePath, SubstitutablePathInfo>();
  const unknown = new Set<StorePath>();
  const done = new Set<string>();
  let todo: DerivedPath[] = [...targets];

  while (todo.length > 0) {
    const fresh = todo.filter((target) => {
      const key = printDerivedPath(store.storeDir, target, "!");
      return !done.has(key) && done.add(key);
    });
    todo = [];
    graph.load(fresh.flatMap((target) => (target.kind === "built" ? target.drvPath : [])));
    const derivations: { drvPath: StorePath; missing: StorePath[] }[] = [];
    const wantedPaths = fresh.flatMap((target) => (target.kind === "opaque" ? target.path : []));
    const validPaths = wantedPaths.length === 0 ? new Set() : queryValidPaths(store, wantedPaths);
    const paths = wantedPaths.filter((path) => !validPaths.has(path) && !willSubstitute.has(path));

    for (const target of fresh) {
      if (target.kind !== "built") continue;
      const outputs = graph.outputsOf(target.drvPath);
      if (outputs === undefined) {
        unknown.add(target.drvPath);
        continue;
      }
      const wanted = [...outputs].filter(([name]) => wantOutput(name, target.outputs)).map(([, path]) => path);
      const missing = wanted.filter((path) => !graph.isKnownValid(path));
      if (missing.length > 0) derivations.push({ drvPath: target.drvPath, missing });
    }

    const asked = new Set(paths);
    const isSubstitutable = (drvPath: StorePath) => substituters.length > 0 && graph.summaryOf(drvPath).substitutable;
    for (const { drvPath, missing } of derivations) {
      if (isSubstitutable(drvPath)) for (const path of missing) asked.add(path);
    }
    const infos = await askAll(substituters, asked);

    const fetch = (path: StorePath): void => {
      const info = infos.get(path);
      if (info === undefined) {
        unknown.add(path);
        return;
      }
      willSubstitute.set(path, info);
      for (const reference of info.references) todo.push({ kind: "opaque", path: reference });
    };
    for (const { drvPath, missing } of derivations) {
      if (isSubstitutable(drvPath) && missing.every((path) => infos.has(path))) {
        for (const path of missing) fetch(path);
        continue;
      }
      willBuild.add(drvPath);
      for (const { drvPath: input, outputs } of graph.inputsOf(drvPath)) {
        todo.push({ kind: "built", drvPath: input, outputs: { kind: "names", names: outputs } });
      }
    }
    for (const path of paths) fetch(path);
  }

  const fetched = [...willSubstitute.values()];
  return {
    willBuild: [...willBuild].sort(),
    willSubstitute: [...willSubstitute.keys()].sort(),
    unknown: [...unknown].sort(),
    downloadSize: fetched.reduce((sum, info) => sum + (info.downloadSize ?? 0), 0),
    narSize: fetched.reduce((sum, info) => sum + (info.narSize ?? 0), 0),
  };
}

/** The first substituter that has a path answers for it. */
export async function askAll(
  substituters: readonly Substituter[],
  paths: ReadonlySet<StorePath>,
): Promise<Map<StorePath, SubstitutablePathInfo>> {
  const infos = new Map<StorePath, SubstitutablePathInfo>();
  for (const substituter of substituters) {
    const left = [...paths].filter((path) => !infos.has(path));
    if (left.length === 0) break;
    for (const [path, info] of await substituter.info(left)) infos.set(path, info);
  }
  return infos;
}
