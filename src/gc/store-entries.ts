/**
 * What lies in the store directory beside valid paths: leftovers of crashes and of other programs, and what is in use
 * although it is not valid. See store-layout, "Temporary names inside S".
 */
import { hashPart, tryParseStorePath } from "../formats/store-path.ts";
import {
  close,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  O_RDWR,
  open,
  tryOpenAt,
  withDescriptor,
} from "../sys/descriptor.ts";
import { forEachEntry } from "../sys/directory.ts";
import { tryLock } from "../sys/file-lock.ts";
import { tryKill } from "../sys/process.ts";
import type { NameTable } from "./graph/name-table.ts";

export interface StoreEntries {
  /** 1 for each valid path whose file is there. */
  readonly present: Uint8Array;
  /** Names that are no valid paths, `.links` excepted; sorted. */
  readonly leftovers: readonly string[];
}

/** @param pause called now and then @throws SystemError */
export function readStoreEntries(storeDir: string, names: NameTable, count: number, pause: () => void): StoreEntries {
  const present = new Uint8Array(count);
  const leftovers: string[] = [];
  let seen = 0;
  withDescriptor(open(storeDir, O_RDONLY | O_DIRECTORY), (fd) =>
    forEachEntry(fd, (bytes, start, end) => {
      const index = names.find(bytes, start, end);
      if (index >= 0) present[index] = 1;
      else leftovers.push(bytes.toString("latin1", start, end));
      if ((++seen & 0x3fff) === 0) pause();
    }),
  );
  return { present, leftovers: leftovers.filter((name) => name !== ".links").sort() };
}

/**
 * Is an invalid entry in use?
 *
 * - one whose hash part is that of a temporary root: being made, and its `.lock`, `.chroot` and `.check` with it
 * - a lock file that somebody has locked
 * - a scratch directory of Nix, `add-<pid>-<n>` and the like, or link of its optimiser, whose process runs; today's Nix
 *   also locks the directory
 *
 * @param storeFd the store directory
 */
export function isInUse(storeFd: number, name: string, isTempRoot: (hashPart: string) => boolean): boolean {
  const path = tryParseStorePath(name);
  if (path !== undefined) {
    if (isTempRoot(hashPart(path))) return true;
    return name.endsWith(".lock") && isLocked(storeFd, name, O_RDWR);
  }
  const owner = scratchName.exec(name)?.[1];
  if (owner === undefined) return false;
  return isRunning(Number(owner)) || isLocked(storeFd, name, O_RDONLY | O_DIRECTORY);
}

const scratchName = /^(?:add|nix|tmp|\.tmp-link)-([0-9]{1,9})-[0-9a-zA-Z]+$/;

const ESRCH = 3;

function isRunning(pid: number): boolean {
  return pid > 0 && tryKill(pid, 0) !== -ESRCH;
}

function isLocked(storeFd: number, name: string, flags: number): boolean {
  const fd = tryOpenAt(storeFd, name, flags | O_NOFOLLOW);
  if (fd < 0) return false; // gone, or not what its name says
  try {
    return !tryLock(fd, "exclusive");
  } finally {
    close(fd);
  }
}
