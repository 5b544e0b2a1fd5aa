/**
 * The lock that a collector holds while it decides what is garbage: `gc.lock`, exclusive, in both ways of locking, since Nix
 * up to 2.2 takes it with fcntl(2) and later ones with flock(2).
 */
import { close } from "../sys/descriptor.ts";
import { type LockKind, openLockFile, tryLock, waitLock } from "../sys/file-lock.ts";
import { tryRecordLock, waitRecordLock } from "../sys/record-lock.ts";
import type { Reporter } from "../store/reporter.ts";

export interface CollectorLockContext {
  readonly stateDir: string;
  readonly reporter: Reporter;
}

/**
 * Waits for the lock and runs `body` with it. Shared it keeps other collectors out, and nobody who adds to the store.
 * @throws SystemError
 */
export function withCollectorLock<T>({ stateDir, reporter }: CollectorLockContext, kind: LockKind, body: () => T): T {
  const fd = openLockFile(`${stateDir}/gc.lock`);
  try {
    if (!tryLock(fd, kind)) {
      reporter.message("error", "waiting for the big garbage collector lock...");
      waitLock(fd, kind);
    }
    if (!tryRecordLock(fd, kind)) waitRecordLock(fd, kind);
    return body();
  } finally {
    close(fd);
  }
}
