/**
 * Temporary roots as a collector reads them: the files `temproots/<pid>` of other processes. See store-layout,
 * "Temporary roots".
 *
 * A process of Nix 2.3 or later, or of silo, holds its file with flock(2); one of Nix 1.7 holds a read lock of fcntl(2),
 * and wants a write lock to append. A file that nobody holds in either way is of a dead process: it is deleted, and
 * marked with a byte for a process that has opened it but not locked it yet.
 */
import { decodeBytes } from "../../formats/byte-string.ts";
import { close, O_RDWR, read, tryOpenAt, tryWrite } from "../../sys/descriptor.ts";
import { readDirectory } from "../../sys/directory.ts";
import { tryLock } from "../../sys/file-lock.ts";
import { tryUnlink } from "../../sys/names.ts";
import { tryRecordLock, waitRecordLock } from "../../sys/record-lock.ts";
import { fstat } from "../../sys/stat.ts";
import { AT_FDCWD, check } from "../../sys/syscall.ts";
import { SystemError } from "../../sys/system-error.ts";
import type { Reporter } from "../../store/reporter.ts";

export interface TempRoot {
  /** As the process wrote it: a full path. */
  readonly path: string;
  /** The name of its file, which is its number. */
  readonly process: string;
}

export interface TempRootFiles {
  readonly roots: readonly TempRoot[];
  /** Lets processes of Nix 1.7 add roots again: until then they wait. */
  release(): void;
}

export interface TempRootFilesContext {
  readonly stateDir: string;
  readonly reporter: Reporter;
}

/**
 * `collect` must see every file, and holds those of Nix 1.7; `look` passes over files that it may not read and holds
 * nothing.
 */
export type TempRootsPurpose = "collect" | "look";

const ENOENT = 2;
const EACCES = 13;
const EFBIG = 27;
/** A file of so many bytes is no list of roots. */
const maxSize = 1024 * 1024 * 1024;

/** @throws SystemError */
export function readTempRoots({ stateDir, reporter }: TempRootFilesContext, purpose: TempRootsPurpose): TempRootFiles {
  const roots: TempRoot[] = [];
  const held: number[] = [];
  const release = () => {
    for (const fd of held.splice(0)) close(fd);
  };
  try {
    for (const { name } of readDirectory(`${stateDir}/temproots`)) {
      if (name.startsWith(".")) continue; // some package managers keep directories alive with such files
      const file = `${stateDir}/temproots/${name}`;
      const fd = tryOpenAt(AT_FDCWD, file, O_RDWR);
      if (fd === -ENOENT) continue; // its process has ended
      if (fd === -EACCES && purpose === "look") {
        reporter.message("info", `cannot read temporary roots file '${file}'`);
        continue;
      }
      check(fd, () => `opening temporary roots file '${file}'`);
      const owner = ownerOf(fd);
      if (owner === "nobody") {
        reporter.message("info", `removing stale temporary roots file '${file}'`);
        tryUnlink(file);
        tryWrite(fd, staleMarker);
        close(fd);
        continue;
      }
      for (const path of readPaths(fd, file)) roots.push({ path, process: name });
      if (owner === "record-lock" && purpose === "collect") held.push(fd);
      else close(fd);
    }
    return { roots, release };
  } catch (error) {
    release();
    throw error;
  }
}

const staleMarker = new Uint8Array([0x64]);

function ownerOf(fd: number): "flock" | "record-lock" | "nobody" {
  if (!tryLock(fd, "exclusive")) return "flock";
  if (tryRecordLock(fd, "exclusive")) return "nobody";
  // Waits while the owner appends, which takes no time. From now on it waits for us.
  waitRecordLock(fd, "shared");
  return "record-lock";
}

/** What follows the last NUL is a path that is being written: its process does not count on it yet. */
function readPaths(fd: number, file: string): string[] {
  const { size } = fstat(fd);
  if (size > maxSize) throw new SystemError(`reading temporary roots file '${file}'`, EFBIG);
  const parts: Buffer[] = [];
  for (;;) {
    const buffer = Buffer.alloc(65536);
    const count = read(fd, buffer);
    if (count === 0) break;
    parts.push(buffer.subarray(0, count));
  }
  const contents = decodeBytes(Buffer.concat(parts));
  return contents.split("\0").slice(0, -1);
}
