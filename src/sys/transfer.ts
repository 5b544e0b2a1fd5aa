/** Moving bytes from one descriptor to another inside the kernel: sendfile(2), copy_file_range(2), splice(2). */
import { check, tryCall } from "./syscall.ts";

/** These two descriptors cannot be connected this way. */
export const cannotTransfer = -1;

const ENOSYS = 38;
const EINVAL = 22;
const EXDEV = 18;
const EBADF = 9;
const EPERM = 1;
const EAGAIN = 11;
const EOPNOTSUPP = 95;

/** Errors that say "not like this"; others are those of the file or the disk. */
const refusals: ReadonlySet<number> = new Set([ENOSYS, EINVAL, EXDEV, EBADF, EPERM, EAGAIN, EOPNOTSUPP]);

function moved(result: number, toFd: number): number {
  if (result < 0 && refusals.has(-result)) return cannotTransfer;
  return check(result, () => `writing to file descriptor ${toFd}`);
}

/**
 * Up to `count` bytes from a file's position to anything that can be written to: how many went, 0 at the file's end, or
 * {@link cannotTransfer}. @throws SystemError
 */
export function sendFile(fromFd: number, toFd: number, count: number): number {
  return moved(tryCall("sendfile", toFd, fromFd, 0, count), toFd);
}

/** As {@link sendFile}, to a file from a file or a pipe. */
export function receiveFile(fromFd: number, toFd: number, count: number): number {
  const copied = moved(tryCall("copy_file_range", fromFd, 0, toFd, 0, count, 0), toFd);
  return copied === cannotTransfer ? moved(tryCall("splice", fromFd, 0, toFd, 0, count, 0), toFd) : copied;
}

const F_SETPIPE_SZ = 1031;
const widePipe = 1024 * 1024;

/** Lets a pipe hold more, so that its ends wake each other less often. Another kind of file, or a limit of the user's, leaves it as it is. */
export function widenPipe(fd: number): void {
  tryCall("fcntl", fd, F_SETPIPE_SZ, widePipe);
}
