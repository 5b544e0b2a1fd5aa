/**
 * Deleting trees that may be read-only (store objects are mode 0555) and of any depth, never through a symbolic link.
 *
 * Works on directory descriptors, so that nobody can swap a parent for a link meanwhile. Each level keeps one open;
 * a directory deeper than `maxDepth` is first renamed up into the tree's root, so that no path or descriptor limit
 * applies.
 */
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, tryOpenAt } from "./descriptor.ts";
import { readDirectoryEntries, rewindDirectory } from "./directory.ts";
import { chmod, fchmod } from "./metadata.ts";
import { tryRename, tryRmdir, tryUnlink } from "./names.ts";
import { fstat, tryLstat } from "./stat.ts";
import { AT_FDCWD, check } from "./syscall.ts";

/** What a deletion freed. Bytes of a file count when its last name goes. */
export interface Freed {
  bytes: number;
  files: number;
}

const maxDepth = 64;
const ENOENT = 2;
const EACCES = 13;

/** Deletes what `path` names; an absent one is fine. @throws SystemError naming the file that would not go */
export function deleteTree(path: string, dirFd = AT_FDCWD, freed: Freed = { bytes: 0, files: 0 }): Freed {
  const status = tryLstat(path, dirFd);
  if (status === undefined) return freed;
  if (status.kind !== "directory") {
    removeFile(path, dirFd, path, freed);
    return freed;
  }
  const root = openWritable(path, dirFd, path);
  if (root < 0) return freed;
  try {
    // Directories moved up from below show up in the root again: go on until a pass finds nothing to move.
    while (emptyDirectory(root, path, 0, root, freed)) rewindDirectory(root);
  } finally {
    close(root);
  }
  removeDirectory(path, dirFd, path, freed);
  return freed;
}

let moved = 0;

/** Empties an open directory; true when something was moved up into the root. */
function emptyDirectory(fd: number, shown: string, depth: number, root: number, freed: Freed): boolean {
  let movedUp = false;
  for (const { name, kind } of readDirectoryEntries(fd)) {
    const child = `${shown}/${name}`;
    if (kind !== "directory") {
      removeFile(name, fd, child, freed);
    } else if (depth >= maxDepth) {
      // Who is not root may only move a directory that may be written: its `..` changes.
      const childFd = openWritable(name, fd, child);
      if (childFd < 0) continue;
      close(childFd);
      check(tryRename(name, `.deep-${process.pid}-${moved++}`, fd, root), () => `deleting '${child}'`);
      movedUp = true;
    } else {
      const childFd = openWritable(name, fd, child);
      if (childFd < 0) continue;
      try {
        if (emptyDirectory(childFd, child, depth + 1, root, freed)) movedUp = true;
      } finally {
        close(childFd);
      }
      removeDirectory(name, fd, child, freed);
    }
  }
  return movedUp;
}

/** Opens a directory and makes sure that its entries can be removed; negative when it is gone. */
function openWritable(name: string, dirFd: number, shown: string): number {
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  let fd = tryOpenAt(dirFd, name, flags);
  if (fd === -EACCES && tryLstat(name, dirFd)?.kind === "directory") {
    chmod(name, 0o700, dirFd);
    fd = tryOpenAt(dirFd, name, flags);
  }
  if (fd === -ENOENT) return fd;
  check(fd, () => `deleting '${shown}'`);
  const { mode } = fstat(fd);
  if ((mode & 0o700) !== 0o700) fchmod(fd, mode | 0o700);
  return fd;
}

function removeFile(name: string, dirFd: number, shown: string, freed: Freed): void {
  const status = tryLstat(name, dirFd);
  if (status === undefined) return;
  const result = tryUnlink(name, dirFd);
  if (result === -ENOENT) return;
  check(result, () => `deleting '${shown}'`);
  freed.files++;
  if (status.nlink === 1) freed.bytes += status.blocks * 512;
}

function removeDirectory(name: string, dirFd: number, shown: string, freed: Freed): void {
  const result = tryRmdir(name, dirFd);
  if (result === -ENOENT) return;
  check(result, () => `deleting '${shown}'`);
  freed.files++;
}
