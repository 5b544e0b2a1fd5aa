/** Mode, owner, times and extended attributes of files, never through a symbolic link. */
import { AT_FDCWD, check, pathArgument, tryCall } from "./syscall.ts";

const AT_SYMLINK_NOFOLLOW = 0x100;

/** @throws SystemError */
export function chmod(path: string, mode: number, dirFd = AT_FDCWD): void {
  check(
    tryCall("fchmodat", dirFd, pathArgument(path), mode),
    () => `changing mode of '${path}' to ${mode.toString(8)}`,
  );
}

/** @throws SystemError */
export function fchmod(fd: number, mode: number): void {
  check(tryCall("fchmod", fd, mode), () => `changing mode of file descriptor ${fd} to ${mode.toString(8)}`);
}

/** The permissions that this process's new files lack. */
export function currentUmask(): number {
  const mask = tryCall("umask", 0o022);
  tryCall("umask", mask);
  return mask;
}

/** lchown(2). @throws SystemError */
export function lchown(path: string, uid: number, gid: number, dirFd = AT_FDCWD): void {
  const result = tryCall("fchownat", dirFd, pathArgument(path), uid, gid, AT_SYMLINK_NOFOLLOW);
  check(result, () => `changing owner of '${path}' to ${uid}`);
}

/** Two timespecs: the access time, left alone (`UTIME_OMIT`), and the modification time. */
const times = Buffer.alloc(32);
times.writeBigInt64LE(0x3ffffffen, 8);

/** @throws SystemError */
export function setMtime(path: string, seconds: number, dirFd = AT_FDCWD): void {
  const result = tryCall("utimensat", dirFd, pathArgument(path), mtimeArgument(seconds), AT_SYMLINK_NOFOLLOW);
  check(result, () => `changing modification time of '${path}'`);
}

/** @throws SystemError */
export function setDescriptorMtime(fd: number, seconds: number): void {
  const result = tryCall("utimensat", fd, 0, mtimeArgument(seconds), 0);
  check(result, () => `changing modification time of file descriptor ${fd}`);
}

function mtimeArgument(seconds: number): Uint8Array {
  times.writeBigInt64LE(BigInt(seconds), 16);
  return times;
}

const attributeNames = Buffer.alloc(65536);
const ENOTSUP = 95;
const ENODATA = 61;

/**
 * Names of the extended attributes, ACLs among them; none where the file system has none.
 * @param shown what errors call the file
 * @throws SystemError
 */
export function listExtendedAttributes(path: string, shown = path): string[] {
  const length = tryCall("llistxattr", pathArgument(path), attributeNames, attributeNames.length);
  if (length === -ENOTSUP || length === -ENODATA || length === 0) return [];
  check(length, () => `listing extended attributes of '${shown}'`);
  return attributeNames.toString("latin1", 0, length - 1).split("\0");
}

/** @throws SystemError */
export function removeExtendedAttribute(path: string, name: string, shown = path): void {
  const attribute = Buffer.from(`${name}\0`, "latin1");
  const result = tryCall("lremovexattr", pathArgument(path), attribute);
  if (result !== -ENODATA) check(result, () => `removing extended attribute '${name}' from '${shown}'`);
}
