/**
 * Roots that are links in the file system: everything below `gcroots`, `profiles` and `manifests` in the state directory.
 * See store-layout, "Roots".
 *
 * - a symbolic link into the store is a root
 * - a symbolic link to a symbolic link into the store is an indirect root, known by the name of the latter
 * - a regular file named like a store path is a root for that path
 *
 * A link in `gcroots/auto` whose target is gone is deleted. What may not be read, or goes away meanwhile, is passed over
 * with a message, as in Nix; any other failure throws, since a root that was not seen is a path that is deleted.
 */
import { canonicalPath } from "../../formats/settings/canonical-path.ts";
import type { ByteString } from "../../formats/byte-string.ts";
import { isInStore, type StoreDir, type StorePath, toStorePath, tryParseStorePath } from "../../formats/store-path.ts";
import { readDirectory } from "../../sys/directory.ts";
import { kindOf, readlink, tryUnlink } from "../../sys/names.ts";
import type { FileKind } from "../../sys/stat.ts";
import { isSystemError } from "../../sys/system-error.ts";
import { BadStorePath } from "../../formats/store-path.ts";
import type { Reporter } from "../../store/reporter.ts";

export interface RootLinksContext {
  readonly storeDir: StoreDir;
  readonly stateDir: string;
  readonly reporter: Reporter;
}

/** @param onRoot told each link with the store path it keeps, valid or not @throws SystemError */
export function findRootLinks(context: RootLinksContext, onRoot: (link: string, target: StorePath) => void): void {
  const { stateDir } = context;
  for (const directory of ["gcroots", "profiles", "manifests"]) {
    const path = `${stateDir}/${directory}`;
    const kind = kindOf(path);
    if (kind !== undefined) scan(context, path, kind, onRoot);
  }
}

function scan(
  context: RootLinksContext,
  path: string,
  kind: FileKind,
  onRoot: (link: string, target: StorePath) => void,
): void {
  try {
    if (kind === "directory") {
      for (const entry of readDirectory(path)) scan(context, `${path}/${entry.name}`, entry.kind, onRoot);
    } else if (kind === "symlink") {
      scanLink(context, path, onRoot);
    } else if (kind === "regular") {
      const target = tryParseStorePath(path.slice(path.lastIndexOf("/") + 1));
      if (target !== undefined) onRoot(path, target);
    }
  } catch (error) {
    if (!isSystemError(error, "EACCES", "ENOENT", "ENOTDIR", ...leadsNowhere)) throw error;
    context.reporter.message("info", `cannot read potential root '${path}'`);
  }
}

/**
 * Links that go in circles and names longer than the kernel takes, which any user may put below `per-user`: nobody can follow them, so
 * they keep nothing, and must not keep others from collecting.
 */
const leadsNowhere = ["ELOOP", "ENAMETOOLONG"] as const;

function scanLink(
  { storeDir, stateDir, reporter }: RootLinksContext,
  path: string,
  onRoot: (link: string, target: StorePath) => void,
): void {
  const target = readlink(path);
  if (isInStore(storeDir, target)) {
    foundTarget(storeDir, path, target, onRoot);
    return;
  }
  const absolute = absoluteTarget(path, target);
  const kind = kindOf(absolute);
  if (kind === undefined) {
    if (path.startsWith(`${stateDir}/gcroots/auto/`)) {
      reporter.message("info", `removing stale link from '${path}' to '${absolute}'`);
      tryUnlink(path);
    }
    return;
  }
  if (kind !== "symlink") return;
  const inner = readlink(absolute);
  if (isInStore(storeDir, inner)) foundTarget(storeDir, absolute, inner, onRoot);
}

function foundTarget(
  storeDir: StoreDir,
  link: string,
  target: string,
  onRoot: (link: string, target: StorePath) => void,
): void {
  try {
    onRoot(link, toStorePath(storeDir, target));
  } catch (error) {
    if (!(error instanceof BadStorePath)) throw error; // it points to no store path: there is nothing to keep
  }
}

function absoluteTarget(link: string, target: string): string {
  const joined = target.startsWith("/") ? target : `${link.slice(0, link.lastIndexOf("/"))}/${target}`;
  return canonicalPath(joined as ByteString) ?? joined;
}
