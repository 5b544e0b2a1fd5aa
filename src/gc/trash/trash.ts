/**
 * The trash: a directory in the store into which garbage is renamed while the collector's lock is held, to be deleted
 * after the lock is given back.
 *
 * Its name looks like a store path and is a temporary root of this process: other collectors, stock Nix's too, leave it alone
 * as long as we live, and when we have died it is an invalid path that any of them deletes. The next collection of ours
 * says so and goes on with it.
 */
import type { StorePath } from "../../formats/store-path.ts";
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, O_RDWR, open, tryOpenAt, tryWrite } from "../../sys/descriptor.ts";
import { readDirectoryEntries } from "../../sys/directory.ts";
import { tryLock } from "../../sys/file-lock.ts";
import { chmod } from "../../sys/metadata.ts";
import { mkdir, tryRename, tryRmdir, tryUnlink } from "../../sys/names.ts";
import { tryLstat } from "../../sys/stat.ts";
import { type Sweep, sweepTree, tellFault } from "../../sys/sweep-tree.ts";
import { isSystemError } from "../../sys/system-error.ts";
import { type LocalStore, realPath } from "../../store/local-store.ts";
import { type PathLog, pathLog } from "../path-log.ts";
import { maxQueuedName } from "./trash-queue.ts";
import { scratchPath } from "../../store/scratch-path.ts";

export interface Trash {
  readonly name: StorePath;
  readonly path: string;
  /** The directory itself, or -1 when there was no room for one: everything is deleted in place then. */
  readonly fd: number;
  readonly storeFd: number;
  /** The names of what was moved into it. */
  readonly entries: PathLog;
}

const purpose = "trash";

/** Makes an empty trash. To be called without the collector's lock, since it adds a temporary root. @throws SystemError */
export function openTrash(store: LocalStore): Trash {
  const name = scratchPath(store, purpose);
  const path = realPath(store, name);
  const storeFd = open(store.realStoreDir, O_RDONLY | O_DIRECTORY);
  try {
    return { name, path, fd: makeDirectory(path), storeFd, entries: pathLog("") };
  } catch (error) {
    close(storeFd);
    throw error;
  }
}

function makeDirectory(path: string): number {
  try {
    mkdir(path, 0o700);
  } catch (error) {
    if (isSystemError(error, "ENOSPC", "EDQUOT")) return -1;
    throw error;
  }
  return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

/** Trash that this process could not empty: it is still a temporary root, but nobody works on it. */
const abandoned = new Set<string>();

/** Removes the directory if it is empty, and closes it. */
export function closeTrash({ name, path, fd, storeFd }: Trash): void {
  if (fd >= 0) close(fd);
  const result = tryRmdir(path);
  if (result < 0 && result !== -ENOENT) abandoned.add(name);
  close(storeFd);
}

/** Is this the trash of a collection that is over? @param inUse whether a process says that it needs the path */
export function isAbandonedTrash(name: string, inUse: boolean): boolean {
  return name.endsWith(`-silo-${purpose}`) && (!inUse || abandoned.has(name));
}

const EPERM = 1;
const ENOENT = 2;
const EACCES = 13;
const EBUSY = 16;

/**
 * Moves an entry of the store directory to the trash. Where it cannot be moved, since the disk is full or the file system
 * does not rename, it is deleted on the spot; what will not go in either way is told to the sweep.
 * @returns false when it stays, or part of it
 */
export function moveToTrash(trash: Trash, name: string, shown: string, sweep: Sweep): boolean {
  const { storeFd, fd } = trash;
  const result = fd >= 0 ? renameInto(trash, storeFd, name) : -EPERM;
  if (result === 0 || result === -ENOENT) return true;
  if (result === -EBUSY) {
    tellFault(sweep, shown, EBUSY); // a mount point: what is below is not the store's
    return false;
  }
  return sweepTree(storeFd, name, shown, sweep);
}

/** 0 or minus errno. */
function renameInto(trash: Trash, fromFd: number, name: string): number {
  const target = entryName(trash, name);
  let result = tryRename(name, target, fromFd, trash.fd);
  if (result === -EACCES && makeWritable(fromFd, name)) result = tryRename(name, target, fromFd, trash.fd);
  if (result === 0) trash.entries.add(target);
  return result;
}

/** Numbered, since the trash of an interrupted collection may have an entry of the same name; and short (trash-queue.ts). */
function entryName({ entries }: Trash, name: string): string {
  return `${entries.length}-${name.replace(/^[0-9]{1,9}-/, "")}`.slice(0, maxQueuedName);
}

/** A directory that gets another parent must be writable, for whoever is not root. */
function makeWritable(dirFd: number, name: string): boolean {
  const status = tryLstat(name, dirFd);
  if (status?.kind !== "directory" || (status.mode & 0o200) !== 0) return false;
  try {
    chmod(name, status.mode | 0o200, dirFd);
    return true;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return false; // somebody else's
  }
}

/**
 * Removes the lock file of a path that nobody makes any more: locked while that happens, and marked for whoever has
 * opened it, by the protocol of path locks.
 * @returns false when it stays
 */
export function removeLockFile({ storeFd }: Trash, name: string, shown: string, sweep: Sweep): boolean {
  const fd = tryOpenAt(storeFd, name, O_RDWR | O_NOFOLLOW);
  if (fd === -ENOENT) return true;
  if (fd < 0) return sweepTree(storeFd, name, shown, sweep);
  try {
    if (!tryLock(fd, "exclusive")) return false; // somebody has just begun to use it
    const result = tryUnlink(name, storeFd);
    if (result === 0) tryWrite(fd, staleMarker);
    else if (result !== -ENOENT) tellFault(sweep, shown, -result);
    return result === 0 || result === -ENOENT;
  } finally {
    close(fd);
  }
}

/** An object of the store may be called `….lock`, too; a lock file is private, writable and as good as empty. */
export function isLockFile({ storeFd }: Trash, name: string): boolean {
  if (!name.endsWith(".lock")) return false;
  const status = tryLstat(name, storeFd);
  return status?.kind === "regular" && status.nlink === 1 && status.size <= 1 && (status.mode & 0o200) !== 0;
}

const staleMarker = new Uint8Array([0x64]);

/** Takes over what an interrupted collection has left in its trash. @returns the number of entries */
export function adoptTrash(trash: Trash, name: string, shown: string, sweep: Sweep): number {
  const before = trash.entries.length;
  const left = trash.fd < 0 ? -1 : tryOpenAt(trash.storeFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (left >= 0) {
    try {
      for (const entry of readDirectoryEntries(left)) renameInto(trash, left, entry.name);
    } finally {
      close(left);
    }
  }
  // What could not be moved out is tried where it is.
  if (tryRmdir(name, trash.storeFd) < 0) sweepTree(trash.storeFd, name, shown, sweep);
  return trash.entries.length - before;
}
