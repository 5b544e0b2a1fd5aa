/** Mounts: statfs(2), unshare(2), mount(2). */
import { check, pathArgument, secondPathArgument, tryCall } from "./syscall.ts";

const ST_RDONLY = 1;
const CLONE_NEWNS = 0x20000;
const MS_REMOUNT = 32;
const MS_BIND = 4096;

export interface FileSystemSpace {
  /** Bytes that an ordinary user may still write. */
  readonly available: number;
  readonly total: number;
  readonly readOnly: boolean;
}

/** @throws SystemError */
export function statFileSystem(path: string): FileSystemSpace {
  const buffer = Buffer.alloc(120);
  check(tryCall("statfs", pathArgument(path), buffer), () => `getting info about the file system of '${path}'`);
  // struct statfs: type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen, frsize, flags (8 bytes each)
  const word = (index: number) => Number(buffer.readBigUInt64LE(index * 8));
  return {
    available: word(4) * word(1),
    total: word(2) * word(1),
    readOnly: (word(10) & ST_RDONLY) !== 0,
  };
}

/** Gives this thread, and the processes it starts, mounts of its own. @throws SystemError */
export function unshareMounts(): void {
  check(tryCall("unshare", CLONE_NEWNS), () => "setting up a private mount namespace");
}

/** Makes a bind mount writable. @throws SystemError */
export function remountWritable(path: string): void {
  const result = tryCall("mount", 0, secondPathArgument(path), 0, MS_REMOUNT | MS_BIND, 0);
  check(result, () => `remounting '${path}' writable`);
}
