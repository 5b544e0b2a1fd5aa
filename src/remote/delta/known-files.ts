/**
 * Files that this store has already, for a tree that is to come: by their names in `.links`, and in paths that are called alike, as an earlier build of the
 * same thing is. Of those only files are read that have the size of one that is looked for.
 */
import { encodeBase32 } from "../../formats/base32.ts";
import { nameOf, type StorePath } from "../../formats/store-path.ts";
import { fileLinkName } from "../../store/link-hash.ts";
import { type LocalStore, realPath, showPath } from "../../store/local-store.ts";
import { isValidPath, queryAllValidPaths } from "../../store/queries.ts";
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, tryOpenAt } from "../../sys/descriptor.ts";
import { readDirectoryEntries } from "../../sys/directory.ts";
import { fstat, lstat, tryLstat } from "../../sys/stat.ts";
import { AT_FDCWD } from "../../sys/syscall.ts";
import type { TreeColumns } from "./extension.ts";
import { treeFiles } from "./tree-files.ts";

export interface KnownFiles {
  /** Is there a path with a name so similar that comparing is worth a round trip? */
  hasSimilar(path: StorePath): boolean;
  /** Where each file of the tree is in this store, undefined for one that is not. The paths they are in become temporary roots. */
  find(path: StorePath, tree: TreeColumns): (string | undefined)[];
}

/** Paths that are looked at for one that is to come. */
const maxSimilar = 4;

export function knownFiles(store: LocalStore): KnownFiles {
  let byName: Map<string, StorePath[]> | undefined;
  const indexes = new Map<StorePath, PathIndex>();
  const hashByFile = new Map<string, string | undefined>();

  function similar(path: StorePath): readonly StorePath[] {
    if (byName === undefined) {
      byName = new Map();
      for (const each of queryAllValidPaths(store)) {
        const name = plainName(each);
        const same = byName.get(name);
        if (same === undefined) byName.set(name, [each]);
        else same.push(each);
      }
    }
    const candidates = (byName.get(plainName(path)) ?? []).filter((each) => each !== path);
    // The very same name first: another version has less in common.
    const exact = candidates.filter((each) => nameOf(each) === nameOf(path));
    return [...exact, ...candidates.filter((each) => !exact.includes(each))].slice(0, maxSimilar);
  }

  function linkNameOf(file: string): string | undefined {
    if (!hashByFile.has(file)) hashByFile.set(file, computeLinkName(file));
    return hashByFile.get(file);
  }

  function findAmong(
    paths: readonly StorePath[],
    below: string,
    kind: "regular" | "executable",
    size: number,
    linkName: string,
  ): string | undefined {
    for (const path of paths) {
      for (const file of indexes.get(path)!.candidates(below, kind, size)) {
        if (linkNameOf(file) === linkName) return file;
      }
    }
    return undefined;
  }

  return {
    hasSimilar: (path) => similar(path).length > 0,
    find(path, tree) {
      const candidates = similar(path);
      store.tempRoots.add(candidates.map((each) => showPath(store, each)));
      const valid = candidates.filter((each) => isValidPath(store, each)); // else it was collected just now
      for (const each of valid) if (!indexes.has(each)) indexes.set(each, indexPath(realPath(store, each)));
      const found: (string | undefined)[] = [];
      for (const { below, kind, size, hash } of treeFiles(tree)) {
        const linkName = encodeBase32(hash);
        const link = `${store.realStoreDir}/.links/${linkName}`;
        const linked = tryLstat(link);
        if (linked?.kind === "regular" && linked.size === size) {
          found.push(link);
          continue;
        }
        found.push(findAmong(valid, below, kind, size, linkName));
      }
      return found;
    },
  };
}

/** The name up to its version, the first part that begins with a digit. */
function plainName(path: StorePath): string {
  return /^(.+?)-[0-9]/.exec(nameOf(path))?.[1] ?? nameOf(path);
}

interface PathIndex {
  /** Files of this kind and size, the one in the same place first. Full names. */
  candidates(below: string, kind: "regular" | "executable", size: number): Iterable<string>;
}

/** Files of one size that are compared: a tree full of files of the same size is no reason to read them all for each. */
const maxSameSize = 16;

function indexPath(root: string): PathIndex {
  const bySize = new Map<string, Set<string>>();
  const visit = (dirFd: number, name: string, shown: string, kind: string): void => {
    if (kind === "regular") {
      const { size, mode } = lstat(name, dirFd);
      const key = sizeKey(mode & 0o100 ? "executable" : "regular", size);
      const same = bySize.get(key);
      if (same === undefined) bySize.set(key, new Set([shown]));
      else same.add(shown);
    } else if (kind === "directory") {
      const fd = tryOpenAt(dirFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      if (fd < 0) return;
      try {
        for (const entry of readDirectoryEntries(fd)) visit(fd, entry.name, `${shown}/${entry.name}`, entry.kind);
      } finally {
        close(fd);
      }
    }
  };
  visit(AT_FDCWD, root, root, lstat(root).kind);
  return {
    *candidates(below, kind, size) {
      const same = bySize.get(sizeKey(kind, size));
      if (same === undefined) return;
      const inPlace = `${root}${below}`;
      if (same.has(inPlace)) yield inPlace;
      let left = maxSameSize;
      for (const file of same) {
        if (left-- === 0) return;
        if (file !== inPlace) yield file;
      }
    },
  };
}

function sizeKey(kind: "regular" | "executable", size: number): string {
  return `${kind}:${size}`;
}

/** Undefined when the file is not there any more. */
function computeLinkName(file: string): string | undefined {
  const fd = tryOpenAt(AT_FDCWD, file, O_RDONLY | O_NOFOLLOW);
  if (fd < 0) return undefined;
  try {
    const { size, mode } = fstat(fd);
    return fileLinkName(fd, mode & 0o100 ? "executable" : "regular", size);
  } finally {
    close(fd);
  }
}
