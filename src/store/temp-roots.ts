/**
 * Temporary roots: store paths that the collector keeps while this process lives. The file `temproots/<pid>` lists them,
 * each ended by a NUL; the process holds a lock on it, so that a collector recognises files of dead processes.
 *
 * A collector that is running has already read the file: then each root is told to it through its socket, and it answers
 * when the path is safe (not being deleted at this moment). Protocol of Nix 2.5 and later (store-layout, "Temporary
 * roots"). Collectors of Nix 1.7 lock with fcntl and see neither.
 */
import { close, O_CREAT, O_RDWR, open, read, writeAll } from "../sys/descriptor.ts";
import { openLockFile, tryLock, unlock, waitLock } from "../sys/file-lock.ts";
import { tryUnlink } from "../sys/names.ts";
import { pause } from "../sys/pause.ts";
import { fstat } from "../sys/stat.ts";
import { isSystemError } from "../sys/system-error.ts";
import { tryConnectUnix } from "../sys/unix-socket.ts";

export interface TempRoots {
  /** Returns when none of these full paths can be deleted any more, whether they exist or not. @throws SystemError */
  add(paths: readonly string[]): void;
  /** Gives up all roots. */
  close(): void;
}

const ECONNREFUSED = 111;
const ENOENT = 2;

/** Touches nothing until the first root is added. */
export function tempRoots(stateDir: string): TempRoots {
  const file = `${stateDir}/temproots/${process.pid}`;
  const known = new Set<string>();
  let rootsFd = -1;
  let gcLockFd = -1;
  let collectorFd = -1;

  function openFile(): number {
    for (;;) {
      tryUnlink(file); // of a dead process that had our pid
      const fd = open(file, O_RDWR | O_CREAT, 0o600);
      try {
        waitLock(fd, "exclusive");
      } catch (error) {
        tryUnlink(file);
        close(fd);
        throw error;
      }
      // A collector may have taken the fresh file for a stale one, deleted and marked it.
      if (fstat(fd).size === 0) return fd;
      close(fd);
    }
  }

  /** True when the collector that holds the lock has confirmed every path; false to try the lock again. */
  function tellCollector(paths: readonly string[]): boolean {
    try {
      if (collectorFd < 0) {
        const fd = tryConnectUnix(`${stateDir}/gc-socket/socket`);
        if (fd === -ECONNREFUSED || fd === -ENOENT) {
          pause(100); // it has the lock but listens not yet, or not any more
          return false;
        }
        if (fd < 0) return waitForCollector();
        collectorFd = fd;
      }
      const answer = new Uint8Array(1);
      for (const path of paths) {
        writeAll(collectorFd, Buffer.from(`${path}\n`, "latin1"));
        if (read(collectorFd, answer) !== 1 || answer[0] !== 0x31) return disconnect();
      }
      return true;
    } catch (error) {
      if (isSystemError(error, "EPIPE", "ECONNRESET")) return disconnect();
      throw error;
    }
  }

  /** The socket cannot be used (no permission): wait until the collection is over. */
  function waitForCollector(): false {
    waitLock(gcLockFd, "shared");
    unlock(gcLockFd);
    return false;
  }

  function disconnect(): false {
    close(collectorFd);
    collectorFd = -1;
    return false;
  }

  return {
    add(paths) {
      const fresh = [...new Set(paths)].filter((path) => !known.has(path));
      if (fresh.length === 0) return;
      if (rootsFd < 0) rootsFd = openFile();
      if (gcLockFd < 0) gcLockFd = openLockFile(`${stateDir}/gc.lock`);
      const record = Buffer.from(fresh.map((path) => `${path}\0`).join(""), "latin1");
      for (;;) {
        if (tryLock(gcLockFd, "shared")) {
          try {
            writeAll(rootsFd, record);
          } finally {
            unlock(gcLockFd);
          }
          break;
        }
        if (tellCollector(fresh)) {
          writeAll(rootsFd, record);
          break;
        }
      }
      for (const path of fresh) known.add(path);
    },
    close() {
      if (collectorFd >= 0) disconnect();
      if (gcLockFd >= 0) close(gcLockFd);
      if (rootsFd >= 0) {
        tryUnlink(file);
        close(rootsFd);
      }
      gcLockFd = rootsFd = -1;
      known.clear();
    },
  };
}
