/**
 * Locks on store paths, against other processes that make the same path: the file `<path>.lock`, locked exclusively.
 *
 * The holder may delete the file when it is done, while others wait for it; it then writes a byte to the inode, and whoever
 * gets the lock on an inode with a size knows that it is stale and opens the file again. Paths are locked in byte
 * order, so that two processes cannot wait for each other. Protocol and lock call are Nix's (store-layout, "Path locks").
 */
import { close, tryWrite } from "../sys/descriptor.ts";
import { openLockFile, tryLock, waitLock } from "../sys/file-lock.ts";
import { tryUnlink } from "../sys/names.ts";
import { fstat } from "../sys/stat.ts";

export interface PathLocks {
  /** `delete` when the paths are valid or not wanted any more; `keep` leaves the lock files for the next attempt. */
  release(files: "delete" | "keep"): void;
}

/** Lock files that this process holds: flock would let another open file of ours wait for ourselves for ever. */
const held = new Set<string>();

export function isLockedByUs(path: string): boolean {
  return held.has(`${path}.lock`);
}

/**
 * Locks the full paths, waiting for each.
 * @param onWait told once for each path that another process holds
 * @throws SystemError; a path locked by this process is a broken invariant
 */
export function lockPaths(paths: Iterable<string>, onWait: (path: string) => void): PathLocks {
  return acquire(paths, (fd, path) => {
    if (!tryLock(fd, "exclusive")) {
      onWait(path);
      waitLock(fd, "exclusive");
    }
    return true;
  })!;
}

/** As {@link lockPaths}, but undefined at once, with nothing held, when one of the paths is held by another. */
export function tryLockPaths(paths: Iterable<string>): PathLocks | undefined {
  for (const path of paths) if (isLockedByUs(path)) return undefined;
  return acquire(paths, (fd) => tryLock(fd, "exclusive"));
}

interface HeldLock {
  readonly fd: number;
  readonly file: string;
}

function acquire(paths: Iterable<string>, lock: (fd: number, path: string) => boolean): PathLocks | undefined {
  const locks: HeldLock[] = [];
  try {
    for (const path of [...new Set(paths)].sort()) {
      const taken = lockFile(`${path}.lock`, (fd) => lock(fd, path));
      if (taken === undefined) {
        releaseAll(locks, "keep");
        return undefined;
      }
      locks.push(taken);
      held.add(taken.file);
    }
  } catch (error) {
    releaseAll(locks, "keep");
    throw error;
  }
  return { release: (files) => releaseAll(locks, files) };
}

function lockFile(file: string, lock: (fd: number) => boolean): HeldLock | undefined {
  if (held.has(file)) throw new Error(`this process already holds the lock '${file}'`);
  for (;;) {
    const fd = openLockFile(file);
    try {
      if (!lock(fd)) {
        close(fd);
        return undefined;
      }
      const { size, nlink } = fstat(fd);
      if (size === 0 && nlink > 0) return { fd, file };
    } catch (error) {
      close(fd);
      throw error;
    }
    close(fd); // stale: its last holder has deleted the name, and could not mark it if the disk was full
  }
}

const staleMarker = new Uint8Array([0x64]);

function releaseAll(locks: HeldLock[], files: "delete" | "keep"): void {
  for (const { fd, file } of locks.splice(0)) {
    if (files === "delete") {
      // Unlink first: with the marker first, a waiter would find the marked file again under the same name.
      tryUnlink(file);
      tryWrite(fd, staleMarker); // a full disk must not make an error of what has succeeded
    }
    held.delete(file);
    close(fd);
  }
}
