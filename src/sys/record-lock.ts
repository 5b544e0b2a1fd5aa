/**
 * Advisory locks with fcntl(2), as Nix before 2.3 takes them on its lock files. Ours belong to the open file
 * (`F_OFD_SETLK`), so that closing another descriptor of the same file does not drop them; they conflict with other
 * processes' locks of either kind, but not with those of flock(2).
 */
import type { LockKind } from "./file-lock.ts";
import { check, tryCall } from "./syscall.ts";

const F_OFD_SETLK = 37;
const F_OFD_SETLKW = 38;
const F_RDLCK = 0;
const F_WRLCK = 1;
const EACCES = 13;
const EAGAIN = 11;

/** Locks the whole file; false when another process holds it. A lock already held is converted. @throws SystemError */
export function tryRecordLock(fd: number, kind: LockKind): boolean {
  const result = tryCall("fcntl", fd, F_OFD_SETLK, wholeFile(kind));
  if (result === -EAGAIN || result === -EACCES) return false;
  check(result, () => "acquiring a record lock");
  return true;
}

/** Blocks until the lock is ours. @throws SystemError */
export function waitRecordLock(fd: number, kind: LockKind): void {
  check(tryCall("fcntl", fd, F_OFD_SETLKW, wholeFile(kind)), () => "acquiring a record lock");
}

/** struct flock: type u16, whence u16, padding, start i64, length i64 (0: to the end), pid i32 (0 for these commands) */
function wholeFile(kind: LockKind): Buffer {
  const lock = Buffer.alloc(32);
  lock.writeInt16LE(kind === "shared" ? F_RDLCK : F_WRLCK, 0);
  return lock;
}
