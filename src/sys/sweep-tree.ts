/**
 * Deleting as much of a tree as will go, never through a symbolic link and never into another mount: what cannot be
 * deleted is told and left.
 *
 * Works on directory descriptors, so that nobody can swap a parent for a link meanwhile. A directory deeper than
 * `maxDepth` is first renamed up into the tree's root, so that no path or descriptor limit applies.
 */
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, tryOpenAt } from "./descriptor.ts";
import { type DirectoryEntry, readDirectoryEntries, rewindDirectory } from "./directory.ts";
import { fchmod } from "./metadata.ts";
import { tryRename, tryRmdir, tryUnlink } from "./names.ts";
import { fstat, tryLstat } from "./stat.ts";
import { pathArgument, tryCall } from "./syscall.ts";
import { isSystemError, SystemError } from "./system-error.ts";

export interface Sweep {
  /** Bytes on disk that were freed: a file's count when its last name goes. */
  bytes: number;
  /** Names that are gone, directories too. */
  files: number;
  /** Names that are gone of files that have others. */
  sharedFiles: number;
  /** Files that stay, so far. */
  faults: number;
  /** Told of each of them, and why. */
  readonly onFault: (error: SystemError) => void;
  /** Called now and then. */
  readonly onProgress: () => void;
}

/** Nothing deleted yet. */
export function newSweep(onFault: (error: SystemError) => void, onProgress: () => void = () => {}): Sweep {
  return { bytes: 0, files: 0, sharedFiles: 0, faults: 0, onFault, onProgress };
}

/** Tells of a file that stays. */
export function tellFault(sweep: Sweep, shown: string, errno: number): void {
  sweep.faults++;
  sweep.onFault(new SystemError(`deleting '${shown}'`, errno));
}

/** Deletes what `name` in the open directory is; true when it is gone. @param shown what faults call it */
export function sweepTree(dirFd: number, name: string, shown: string, sweep: Sweep): boolean {
  const status = tryLstat(name, dirFd);
  if (status === undefined) return true;
  if (status.kind !== "directory") return sweepFile(dirFd, name, shown, sweep);
  const faultsBefore = sweep.faults;
  const root = openDirectory(dirFd, name, shown, sweep);
  if (root < 0) return root === -ENOENT;
  try {
    // Directories moved up from below show up in the root again: go on until a pass finds nothing to move.
    const context = { root, sweep, movedUp: false };
    do {
      context.movedUp = false;
      emptyDirectory(context, root, shown, 0);
      rewindDirectory(root);
    } while (context.movedUp);
  } finally {
    close(root);
  }
  if (sweepDirectory(dirFd, name, shown, sweep)) return true;
  // What keeps it from being empty was told, unless somebody else puts files there.
  if (sweep.faults === faultsBefore) tellFault(sweep, shown, ENOTEMPTY);
  return false;
}

const maxDepth = 64;
const EPERM = 1;
const ENOENT = 2;
const EACCES = 13;
const EXDEV = 18;
const ENOSYS = 38;
const RESOLVE_NO_XDEV = 1;

interface Context {
  readonly root: number;
  readonly sweep: Sweep;
  movedUp: boolean;
}

let moved = 0;

function emptyDirectory(context: Context, fd: number, shown: string, depth: number): void {
  const { sweep } = context;
  for (const entry of listed(fd, shown, sweep)) {
    const child = `${shown}/${entry.name}`;
    if (entry.kind !== "directory") {
      sweepFile(fd, entry.name, child, sweep);
    } else if (depth >= maxDepth) {
      const result = tryRename(entry.name, `.deep-${process.pid}-${moved++}`, fd, context.root);
      if (result === 0) context.movedUp = true;
      else tellFault(sweep, child, -result);
    } else {
      const childFd = openDirectory(fd, entry.name, child, sweep);
      if (childFd < 0) continue;
      try {
        emptyDirectory(context, childFd, child, depth + 1);
      } finally {
        close(childFd);
      }
      sweepDirectory(fd, entry.name, child, sweep);
    }
  }
}

function listed(fd: number, shown: string, sweep: Sweep): DirectoryEntry[] {
  try {
    return readDirectoryEntries(fd);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    tellFault(sweep, shown, error.errno);
    return [];
  }
}

const how = Buffer.alloc(24); // struct open_how: flags, mode, resolve
how.writeBigUInt64LE(BigInt(RESOLVE_NO_XDEV), 16);
const openFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
const O_CLOEXEC = 0o2000000;
how.writeBigUInt64LE(BigInt(openFlags | O_CLOEXEC), 0);

/** A descriptor, or minus errno: then a fault was told unless it is gone. */
function openDirectory(dirFd: number, name: string, shown: string, sweep: Sweep): number {
  let fd = tryOpenHere(dirFd, name);
  if (fd === -EACCES && makeAccessible(dirFd, name)) fd = tryOpenHere(dirFd, name);
  if (fd < 0 && fd !== -ENOENT) tellFault(sweep, shown, fd === -EXDEV ? EBUSY : -fd);
  return fd;
}

const EBUSY = 16;

/** Opens a directory that is no mount point. */
function tryOpenHere(dirFd: number, name: string): number {
  const fd = tryCall("openat2", dirFd, pathArgument(name), how, how.length);
  if (fd !== -ENOSYS && fd !== -EPERM) return fd;
  // A kernel before 5.6, or a container that does not know the call.
  const plain = tryOpenAt(dirFd, name, openFlags);
  if (plain < 0 || fstat(plain).dev === fstat(dirFd).dev) return plain;
  close(plain);
  return -EXDEV;
}

function makeAccessible(dirFd: number, name: string): boolean {
  return tryCall("fchmodat", dirFd, pathArgument(name), 0o700) === 0;
}

/** Store objects are read-only directories: whoever is not root must be able to write in one to empty it. */
function tryRemove(dirFd: number, remove: () => number): number {
  const result = remove();
  if (result !== -EACCES) return result;
  try {
    fchmod(dirFd, fstat(dirFd).mode | 0o700);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return result; // somebody else's directory
  }
  return remove();
}

function sweepFile(dirFd: number, name: string, shown: string, sweep: Sweep): boolean {
  const status = tryLstat(name, dirFd);
  if (status === undefined) return true;
  const result = tryRemove(dirFd, () => tryUnlink(name, dirFd));
  if (result < 0 && result !== -ENOENT) {
    tellFault(sweep, shown, -result);
    return false;
  }
  if (status.nlink === 1) sweep.bytes += status.blocks * 512;
  else sweep.sharedFiles++;
  count(sweep);
  return true;
}

const ENOTEMPTY = 39;

function sweepDirectory(dirFd: number, name: string, shown: string, sweep: Sweep): boolean {
  const status = tryLstat(name, dirFd);
  const result = tryRemove(dirFd, () => tryRmdir(name, dirFd));
  if (result < 0 && result !== -ENOENT) {
    if (result !== -ENOTEMPTY) tellFault(sweep, shown, -result);
    return false;
  }
  sweep.bytes += (status?.blocks ?? 0) * 512;
  count(sweep);
  return true;
}

function count(sweep: Sweep): void {
  sweep.files++;
  if ((sweep.files & 63) === 0) sweep.onProgress();
}
