/** `exportReferencesGraph`: the closures that a derivation asks to be told, in files of its build directory. */
import type { ByteString } from "../formats/byte-string.ts";
import { knownOutputPath } from "../formats/derivation/derivation.ts";
import { isDerivationPath, isInStore, type StorePath, toStorePath } from "../formats/store-path.ts";
import { printRegistrations } from "../formats/validity-registration.ts";
import { computeClosure } from "../store/closure.ts";
import { type LocalStore, showPath } from "../store/local-store.ts";
import type { PathInfo } from "../store/path-info.ts";
import { queryPathInfos } from "../store/queries.ts";
import { readDerivation } from "../store/read-derivation.ts";
import { BuildFailure } from "./build-failure.ts";
import { words } from "./derivation-attributes.ts";

export interface GraphFile {
  readonly name: string;
  readonly contents: string;
}

/**
 * The files that the attribute's text asks for: `name1 path1 name2 path2`.
 * @param inputs the closure of the derivation's inputs @throws BuildFailure, InvalidPath
 */
export function referencesGraphFiles(store: LocalStore, text: ByteString, inputs: ReadonlySet<StorePath>): GraphFile[] {
  const tokens = words(text);
  if (tokens.length % 2 !== 0) fail(`odd number of tokens in 'exportReferencesGraph': '${text}'`);
  const files: GraphFile[] = [];
  for (let i = 0; i < tokens.length; i += 2) {
    const name = tokens[i]!;
    if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) {
      throw new BuildFailure("misc-failure", `invalid file name '${name}' in 'exportReferencesGraph'`);
    }
    const path = tokens[i + 1]!;
    if (!isInStore(store.storeDir, path)) fail(`'exportReferencesGraph' contains a non-store path '${path}'`);
    const infos = exportedGraph(store, [toStorePath(store.storeDir, path)], inputs);
    const items = infos.map((info) => ({
      path: info.path,
      nar: undefined,
      deriver: undefined,
      references: new Set(info.references),
    }));
    files.push({ name, contents: printRegistrations(store.storeDir, "references-graph", items) });
  }
  return files;
}

/**
 * The closure of `paths`, and of all outputs of derivations in it, sorted.
 * @throws BuildFailure for a path that is none of the inputs; InvalidPath for an output that is not valid
 */
export function exportedGraph(
  store: LocalStore,
  paths: readonly StorePath[],
  inputs: ReadonlySet<StorePath>,
): PathInfo[] {
  for (const path of paths) {
    if (inputs.has(path)) continue;
    const reason = "because it is not in the input closure of the derivation";
    fail(`cannot export references of path '${showPath(store, path)}' ${reason}`);
  }
  const closure = computeClosure(store, paths);
  const outputs = closure.filter(isDerivationPath).flatMap((drvPath) => {
    const drv = readDerivation(store.storeDir, store.realStoreDir, drvPath);
    return [...drv.outputs.values()].flatMap((output) => knownOutputPath(output) ?? []);
  });
  const all = outputs.length === 0 ? closure : computeClosure(store, [...closure, ...outputs]);
  return [...queryPathInfos(store, all).values()];
}

function fail(message: string): never {
  throw new BuildFailure("input-rejected", message);
}
