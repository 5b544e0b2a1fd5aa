/** Open files: openat(2), read(2), write(2) and what belongs to them. Descriptors are opened close-on-exec. */
import { AT_FDCWD, check, pathArgument, tryCall } from "./syscall.ts";
import { machine } from "./syscall-numbers.ts";
import { SystemError } from "./system-error.ts";

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_PATH = 0o10000000;
export const O_NOFOLLOW = machine.open.noFollow;
export const O_DIRECTORY = machine.open.directory;
const O_CLOEXEC = 0o2000000;

/** @throws SystemError */
export function openAt(dirFd: number, path: string, flags: number, mode = 0): number {
  return check(tryOpenAt(dirFd, path, flags, mode), () => `opening file '${path}'`);
}

/** @throws SystemError */
export function open(path: string, flags: number, mode = 0): number {
  return openAt(AT_FDCWD, path, flags, mode);
}

/** A descriptor, or minus errno. */
export function tryOpenAt(dirFd: number, path: string, flags: number, mode = 0): number {
  return tryCall("openat", dirFd, pathArgument(path), flags | O_CLOEXEC, mode);
}

/** Closes; an error of close(2) says nothing about data that a caller could act on, so it is dropped. */
export function close(fd: number): void {
  tryCall("close", fd);
}

/** Reads at most `buffer.length` bytes; 0 at the end. @throws SystemError */
export function read(fd: number, buffer: Uint8Array): number {
  for (;;) {
    const count = tryCall("read", fd, buffer, buffer.length);
    if (count !== -EAGAIN) return check(count, () => `reading from file descriptor ${fd}`);
    waitUntilReady(fd, POLLIN);
  }
}

/** Bytes written, which may be fewer than given, or minus errno. */
export function tryWrite(fd: number, bytes: Uint8Array): number {
  return tryCall("write", fd, bytes, bytes.length);
}

/** Writes all of `bytes`, also where the kernel takes a part at a time. @throws SystemError */
export function writeAll(fd: number, bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.length > 0) {
    const written = tryWrite(fd, rest);
    if (written === -EAGAIN) {
      waitUntilReady(fd, POLLOUT);
      continue;
    }
    check(written, () => `writing to file descriptor ${fd}`);
    if (written === rest.length) return;
    rest = rest.subarray(written);
  }
}

const EAGAIN = 11;
const POLLIN = 1;
const POLLOUT = 4;

/** Blocks: for a pipe or terminal that somebody who shares it with us has made non-blocking. */
function waitUntilReady(fd: number, events: number): void {
  const pollfd = Buffer.alloc(8); // int fd, short events, short revents
  pollfd.writeInt32LE(fd, 0);
  pollfd.writeInt16LE(events, 4);
  check(tryCall("ppoll", pollfd, 1), () => `waiting for file descriptor ${fd}`);
}

/** @throws SystemError */
export function ftruncate(fd: number, size: number): void {
  check(tryCall("ftruncate", fd, size), () => `setting the size of file descriptor ${fd}`);
}

/** @throws SystemError */
export function fsync(fd: number): void {
  check(tryCall("fsync", fd), () => `flushing file descriptor ${fd} to disk`);
}

/** Allocates the first `size` bytes; false where the file system cannot. */
export function fallocate(fd: number, size: number): boolean {
  return tryCall("fallocate", fd, 0, 0, size) === 0;
}

/** Flushes every file system (sync(2)). */
export function syncAll(): void {
  tryCall("sync");
}

/** A pipe's reading and writing end. @throws SystemError */
export function pipe(): { readonly read: number; readonly write: number } {
  const ends = new Int32Array(2);
  check(tryCall("pipe2", new Uint8Array(ends.buffer), O_CLOEXEC), () => "creating a pipe");
  return { read: ends[0]!, write: ends[1]! };
}

/** Runs `use` on an open file and closes it, whatever happens. */
export function withDescriptor<T>(fd: number, use: (fd: number) => T): T {
  try {
    return use(fd);
  } finally {
    close(fd);
  }
}

/** Files are read by the thousand: a buffer for each would be most of the work. */
const scratch = Buffer.allocUnsafeSlow(65536);
const EFBIG = 27;

/**
 * The whole of a file that must be small.
 * @throws SystemError, `EFBIG` when it is larger than `maxBytes`
 */
export function readSmallFile(path: string, maxBytes: number): Buffer {
  return withDescriptor(open(path, O_RDONLY), (fd) => {
    const parts: Buffer[] = [];
    let size = 0;
    for (;;) {
      const count = read(fd, scratch);
      if (count === 0) return parts.length === 1 ? parts[0]! : Buffer.concat(parts, size);
      size += count;
      if (size > maxBytes) throw new SystemError(`reading '${path}': more than ${maxBytes} bytes`, EFBIG);
      parts.push(Buffer.from(scratch.subarray(0, count)));
    }
  });
}
