/** What a build would take, worked out on this side: for daemons that are too old to be asked (before 1.19). */
import { type DerivedPath, wantOutput } from "../../formats/derivation-outputs.ts";
import type { StoreDir, StorePath } from "../../formats/store-path.ts";
import type { BuildService, MissingPaths } from "../../store/build-service.ts";
import { readDerivation } from "../../store/read-derivation.ts";
import type { Store } from "../../store/store.ts";
import { knownOutputPath } from "../../formats/derivation/derivation.ts";

type Queries = Pick<Store, "queryValidPaths"> &
  Pick<BuildService, "querySubstitutablePaths" | "querySubstitutablePathInfos">;

/** A daemon is on the machine that its store is on, so derivations are read where they are. */
export async function estimateMissing(
  storeDir: StoreDir,
  targets: readonly DerivedPath[],
  queries: Queries,
): Promise<MissingPaths> {
  const willBuild = new Set<StorePath>();
  const willSubstitute = new Set<StorePath>();
  const unknown = new Set<StorePath>();
  let downloadSize = 0;
  let narSize = 0;
  const seen = new Set<string>();

  /** Fetches all of the paths, or says which cannot be fetched. */
  async function substitute(paths: readonly StorePath[]): Promise<readonly StorePath[]> {
    const infos = await queries.querySubstitutablePathInfos(paths);
    const missing = paths.filter((path) => !infos.has(path));
    if (missing.length > 0) return missing;
    for (const [path, info] of infos) {
      if (willSubstitute.has(path)) continue;
      willSubstitute.add(path);
      downloadSize += info.downloadSize ?? 0;
      narSize += info.narSize ?? 0;
      for (const reference of info.references) await visit({ kind: "opaque", path: reference });
    }
    return [];
  }

  async function visit(target: DerivedPath): Promise<void> {
    const names = target.kind === "built" && target.outputs.kind === "names" ? [...target.outputs.names].sort() : [];
    const key = target.kind === "opaque" ? target.path : `${target.drvPath}!${names.join(",")}`;
    if (seen.has(key)) return;
    seen.add(key);
    if (target.kind === "opaque") {
      if (queries.queryValidPaths([target.path]).size > 0) return;
      for (const path of await substitute([target.path])) unknown.add(path);
      return;
    }
    const { drvPath, outputs } = target;
    if (queries.queryValidPaths([drvPath]).size === 0) {
      unknown.add(drvPath);
      return;
    }
    const derivation = readDerivation(storeDir, storeDir, drvPath);
    const wanted = [...derivation.outputs].filter(([name]) => wantOutput(name, outputs));
    const paths = wanted.flatMap(([, output]) => knownOutputPath(output) ?? []);
    const valid = queries.queryValidPaths(paths);
    const missing = paths.filter((path) => !valid.has(path));
    if (paths.length === wanted.length && missing.length === 0) return;
    if (paths.length === wanted.length && (await substitute(missing)).length === 0) return;
    if (willBuild.has(drvPath)) return;
    willBuild.add(drvPath);
    for (const path of derivation.inputSrcs) await visit({ kind: "opaque", path });
    for (const [input, needed] of derivation.inputDrvs)
      await visit({ kind: "built", drvPath: input, outputs: { kind: "names", names: needed } });
  }

  for (const target of targets) await visit(target);
  return {
    willBuild: [...willBuild],
    willSubstitute: [...willSubstitute],
    unknown: [...unknown],
    downloadSize,
    narSize,
  };
}
