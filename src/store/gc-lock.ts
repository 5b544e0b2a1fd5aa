/** The collector's lock, `gc.lock`: shared by those who must not be collected under, exclusive for a collection. */
import { close } from "../sys/descriptor.ts";
import { type LockKind, openLockFile, tryLock, waitLock } from "../sys/file-lock.ts";

/** Runs `body` with the lock held. @param onWait told when another process is in the way @throws SystemError */
export function withGcLock<T>(stateDir: string, kind: LockKind, onWait: () => void, body: () => T): T {
  const fd = openLockFile(`${stateDir}/gc.lock`);
  try {
    if (!tryLock(fd, kind)) {
      onWait();
      waitLock(fd, kind);
    }
    return body();
  } finally {
    close(fd);
  }
}

/**
 * After a new permanent root: a collector that runs already knows our temporary roots, and one that starts later finds
 * the root. Waiting for the lock once makes sure of either.
 */
export function syncWithCollector(stateDir: string, onWait: () => void): void {
  withGcLock(stateDir, "shared", onWait, () => {});
}
