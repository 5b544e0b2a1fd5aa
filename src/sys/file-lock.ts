/**
 * Advisory locks on lock files with flock(2), the call that Nix uses since 2.3; so both can run on one store. A lock
 * belongs to the open file: it ends when the last descriptor closes, also by `kill -9`.
 */
import { check, tryCall } from "./syscall.ts";
import { O_CREAT, O_RDWR, open } from "./descriptor.ts";

export type LockKind = "shared" | "exclusive";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;
const EWOULDBLOCK = 11;

/** Opens a lock file, making it (mode 0600) when missing. @throws SystemError */
export function openLockFile(path: string): number {
  return open(path, O_RDWR | O_CREAT, 0o600);
}

/** False when another holds it. A lock already held is converted. @throws SystemError */
export function tryLock(fd: number, kind: LockKind): boolean {
  const result = tryCall("flock", fd, (kind === "shared" ? LOCK_SH : LOCK_EX) | LOCK_NB);
  if (result === -EWOULDBLOCK) return false;
  check(result, () => "acquiring a lock");
  return true;
}

/** Blocks until the lock is ours. @throws SystemError */
export function waitLock(fd: number, kind: LockKind): void {
  check(tryCall("flock", fd, kind === "shared" ? LOCK_SH : LOCK_EX), () => "acquiring a lock");
}

/** @throws SystemError */
export function unlock(fd: number): void {
  check(tryCall("flock", fd, LOCK_UN), () => "releasing a lock");
}
