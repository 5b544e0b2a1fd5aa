/** All roots of a collection, of every kind. */
import { type StorePath, tryParseStorePath } from "../../formats/store-path.ts";
import type { FoundRoot } from "../../store/collect-service.ts";
import type { LocalStore } from "../../store/local-store.ts";
import { queryValidPaths } from "../../store/queries.ts";
import { runRootFinder } from "./root-finder.ts";
import { findRootLinks } from "./root-links.ts";
import { findRuntimeRoots } from "./runtime-roots.ts";
import { readTempRoots, type TempRoot } from "./temp-root-files.ts";

/** A root whose path may not be valid. */
export type RootCandidate = FoundRoot;

/** The root's place in what is shown to users who may not know about processes of others. */
export const censoredLink = "{censored}";

/** Links, and what running processes use, temporary roots excepted. @throws SystemError, RootFinderFailed */
export function findRootCandidates(store: LocalStore): RootCandidate[] {
  const found: RootCandidate[] = [];
  findRootLinks(store, (link, target) => found.push({ link, target, kind: "link" }));
  findRuntimeRoots(store.storeDir, (link, target) => found.push({ link, target, kind: "runtime" }));
  const finder = process.env["NIX_ROOT_FINDER"];
  if (finder)
    runRootFinder(store.storeDir, finder, (target) => found.push({ link: "{finder}", target, kind: "runtime" }));
  return found;
}

/**
 * Every root of a valid path, temporary ones too, sorted by link. Takes no lock: what changes meanwhile may be missing.
 * @throws SystemError, RootFinderFailed
 */
export function findRoots(store: LocalStore): FoundRoot[] {
  const candidates = findRootCandidates(store);
  const valid = queryValidPaths(store, new Set(candidates.map(({ target }) => target)));
  reportInvalid(store, candidates, (path) => valid.has(path));
  const temporary = readTempRoots(store, "look").roots.flatMap((root) => {
    const target = tempRootTarget(store, root);
    return target === undefined ? [] : [{ link: tempRootLink(root), target, kind: "runtime" as const }];
  });
  return unique([...candidates.filter(({ target }) => valid.has(target)), ...temporary]);
}

/** Says of links to paths that are not valid that they keep nothing. */
export function reportInvalid(
  store: LocalStore,
  candidates: readonly RootCandidate[],
  isValid: (path: StorePath) => boolean,
): void {
  for (const { link, target, kind } of candidates) {
    if (kind === "link" && !isValid(target)) {
      store.reporter.message("info", `skipping invalid root from '${link}' to '${store.storeDir}/${target}'`);
    }
  }
}

export function tempRootLink({ process }: TempRoot): string {
  return `{temp:${process}}`;
}

/** The store path of a temporary root, or undefined for what is none. */
export function tempRootTarget({ storeDir }: Pick<LocalStore, "storeDir">, { path }: TempRoot): StorePath | undefined {
  return path.startsWith(`${storeDir}/`) ? tryParseStorePath(path.slice(storeDir.length + 1)) : undefined;
}

/** Sorted by link and target; as bytes. */
function unique(roots: readonly FoundRoot[]): FoundRoot[] {
  const byKey = new Map(roots.map((root) => [`${root.link}\0${root.target}`, root]));
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, root]) => root);
}
