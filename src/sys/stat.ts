/** Status of files: fstat(2), fstatat(2). */
import { AT_FDCWD, check, pathArgument, tryCall } from "./syscall.ts";
import { machine } from "./syscall-numbers.ts";

export type FileKind = "regular" | "directory" | "symlink" | "other";

export interface Stat {
  readonly kind: FileKind;
  /** All twelve permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  /** Bytes. */
  readonly size: number;
  /** 512-byte blocks on disk. */
  readonly blocks: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly dev: number;
  /** Exact below 2^53, which every common file system stays under; else the nearest double. */
  readonly inode: number;
}

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;

const buffer = Buffer.alloc(256);

/** The kind that `S_IFMT` says. */
export function fileKind(mode: number): FileKind {
  switch (mode & 0o170000) {
    case 0o100000:
      return "regular";
    case 0o040000:
      return "directory";
    case 0o120000:
      return "symlink";
    default:
      return "other";
  }
}

/** The status of an open file. @throws SystemError */
export function fstat(fd: number): Stat {
  check(tryCall("fstat", fd, buffer), () => `getting status of file descriptor ${fd}`);
  return decode();
}

/** The status of what `path` names, links not followed. @throws SystemError */
export function lstat(path: string, dirFd = AT_FDCWD): Stat {
  check(lstatCall(path, dirFd), () => `getting status of '${path}'`);
  return decode();
}

/** As {@link lstat}, with undefined when there is nothing (`ENOENT`, or a parent that is no directory). */
export function tryLstat(path: string, dirFd = AT_FDCWD): Stat | undefined {
  const result = lstatCall(path, dirFd);
  if (result === -ENOENT || result === -ENOTDIR) return undefined;
  check(result, () => `getting status of '${path}'`);
  return decode();
}

/** The status of what `path` leads to, links followed; undefined when there is nothing. @throws SystemError */
export function tryStat(path: string, dirFd = AT_FDCWD): Stat | undefined {
  const result = tryCall("newfstatat", dirFd, pathArgument(path), buffer, 0);
  if (result === -ENOENT || result === -ENOTDIR) return undefined;
  check(result, () => `getting status of '${path}'`);
  return decode();
}

const ENOENT = 2;
const ENOTDIR = 20;

function lstatCall(path: string, dirFd: number): number {
  const flags = path === "" ? AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
  return tryCall("newfstatat", dirFd, pathArgument(path), buffer, flags);
}

function u64(offset: number): number {
  return buffer.readUInt32LE(offset) + buffer.readUInt32LE(offset + 4) * 0x1_0000_0000;
}

function decode(): Stat {
  const { mode: modeOffset, nlink, nlinkBytes, uid } = machine.stat;
  const mode = buffer.readUInt32LE(modeOffset);
  return {
    kind: fileKind(mode),
    mode: mode & 0o7777,
    uid: buffer.readUInt32LE(uid),
    gid: buffer.readUInt32LE(uid + 4),
    nlink: nlinkBytes === 8 ? u64(nlink) : buffer.readUInt32LE(nlink),
    size: u64(48),
    blocks: u64(64),
    mtimeSec: u64(88),
    mtimeNsec: u64(96),
    dev: u64(0),
    inode: u64(8),
  };
}
