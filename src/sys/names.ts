/** Names in the file system: making, linking, renaming and removing them. Paths are byte strings. */
import { AT_FDCWD, check, pathArgument, secondPathArgument, tryCall } from "./syscall.ts";
import { type FileKind, tryLstat } from "./stat.ts";

const AT_REMOVEDIR = 0x200;
const AT_SYMLINK_FOLLOW = 0x400;
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;
const ENOENT = 2;
const EEXIST = 17;

export function exists(path: string, dirFd = AT_FDCWD): boolean {
  return tryLstat(path, dirFd) !== undefined;
}

/** The kind of what `path` names, or undefined when there is nothing. */
export function kindOf(path: string, dirFd = AT_FDCWD): FileKind | undefined {
  return tryLstat(path, dirFd)?.kind;
}

/** @throws SystemError */
export function mkdir(path: string, mode = 0o777, dirFd = AT_FDCWD): void {
  check(tryCall("mkdirat", dirFd, pathArgument(path), mode), () => `creating directory '${path}'`);
}

/** True when the directory is new, false when something of that name was there. @throws SystemError */
export function tryMkdir(path: string, mode = 0o777, dirFd = AT_FDCWD): boolean {
  const result = tryCall("mkdirat", dirFd, pathArgument(path), mode);
  if (result === -EEXIST) return false;
  check(result, () => `creating directory '${path}'`);
  return true;
}

/** Makes `path` and the directories above it that are missing. @throws SystemError */
export function mkdirs(path: string, mode = 0o777): void {
  const result = tryCall("mkdirat", AT_FDCWD, pathArgument(path), mode);
  if (result === -EEXIST) return;
  if (result === -ENOENT) {
    mkdirs(path.slice(0, Math.max(1, path.lastIndexOf("/"))), mode);
    tryMkdir(path, mode);
    return;
  }
  check(result, () => `creating directory '${path}'`);
}

/** @throws SystemError */
export function symlink(target: string, path: string, dirFd = AT_FDCWD): void {
  check(
    tryCall("symlinkat", pathArgument(target), dirFd, secondPathArgument(path)),
    () => `creating symlink '${path}' to '${target}'`,
  );
}

const linkBuffer = Buffer.alloc(4096);

/** Where a symbolic link points. @throws SystemError; `EINVAL` when it is none */
export function readlink(path: string, dirFd = AT_FDCWD): string {
  const length = tryCall("readlinkat", dirFd, pathArgument(path), linkBuffer, linkBuffer.length);
  check(length, () => `reading symbolic link '${path}'`);
  return linkBuffer.toString("latin1", 0, length);
}

/** A second name for a file; links are not followed. The result is 0 or minus errno: several are expected. */
export function tryLink(from: string, to: string, fromDirFd = AT_FDCWD, toDirFd = AT_FDCWD): number {
  return tryCall("linkat", fromDirFd, pathArgument(from), toDirFd, secondPathArgument(to), 0);
}

/** As {@link tryLink} for an open file, through /proc. */
export function tryLinkDescriptor(fd: number, to: string, toDirFd = AT_FDCWD): number {
  const from = pathArgument(`/proc/self/fd/${fd}`);
  return tryCall("linkat", AT_FDCWD, from, toDirFd, secondPathArgument(to), AT_SYMLINK_FOLLOW);
}

/** @throws SystemError */
export function rename(from: string, to: string, fromDirFd = AT_FDCWD, toDirFd = AT_FDCWD): void {
  check(tryRename(from, to, fromDirFd, toDirFd), () => `renaming '${from}' to '${to}'`);
}

/** 0 or minus errno. */
export function tryRename(from: string, to: string, fromDirFd = AT_FDCWD, toDirFd = AT_FDCWD): number {
  return tryCall("renameat", fromDirFd, pathArgument(from), toDirFd, secondPathArgument(to));
}

/** Renames unless `to` exists: 0 or minus errno (`EEXIST`). */
export function tryRenameNew(from: string, to: string): number {
  return tryCall("renameat2", AT_FDCWD, pathArgument(from), AT_FDCWD, secondPathArgument(to), RENAME_NOREPLACE);
}

/** Swaps two names atomically: 0 or minus errno (`EINVAL` where the file system cannot). */
export function tryExchange(a: string, b: string): number {
  return tryCall("renameat2", AT_FDCWD, pathArgument(a), AT_FDCWD, secondPathArgument(b), RENAME_EXCHANGE);
}

/** Removes a name that is no directory. @throws SystemError */
export function unlink(path: string, dirFd = AT_FDCWD): void {
  check(tryUnlink(path, dirFd), () => `deleting '${path}'`);
}

/** 0 or minus errno. */
export function tryUnlink(path: string, dirFd = AT_FDCWD): number {
  return tryCall("unlinkat", dirFd, pathArgument(path), 0);
}

/** 0 or minus errno. */
export function tryRmdir(path: string, dirFd = AT_FDCWD): number {
  return tryCall("unlinkat", dirFd, pathArgument(path), AT_REMOVEDIR);
}

/** access(2): may this process do that (4 read, 2 write, 1 search or execute)? */
export function mayAccess(path: string, mode: number): boolean {
  return tryCall("faccessat", AT_FDCWD, pathArgument(path), mode) === 0;
}
