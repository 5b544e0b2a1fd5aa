/**
 * System calls through libc's `syscall(2)`.
 *
 * Paths are strings whose units are bytes, as everywhere in silo's core (formats/byte-string.ts): they are copied into
 * a scratch buffer with a NUL behind, so that a call allocates nothing. Two scratch buffers serve the calls with two
 * paths. JavaScript is one thread, and no call keeps the address: the buffers can be shared by all.
 */
import { runtime } from "#runtime";
import type { NativeArgument } from "../runtime/interface.ts";
import { machine, type SyscallName } from "./syscall-numbers.ts";
import { SystemError } from "./system-error.ts";

/** Longest path that the kernel takes in one call, with its NUL. */
const pathMax = 4096;
const firstPath = Buffer.alloc(pathMax);
const secondPath = Buffer.alloc(pathMax);

const EINTR = 4;
const ENAMETOOLONG = 36;
const EINVAL = 22;

/** The directory descriptor that means the current directory. */
export const AT_FDCWD = -100;

/** Makes the call, again when a signal interrupts it; the result, or minus errno. */
export function tryCall(
  name: SyscallName,
  a: NativeArgument = 0,
  b: NativeArgument = 0,
  c: NativeArgument = 0,
  d: NativeArgument = 0,
  e: NativeArgument = 0,
  f: NativeArgument = 0,
): number {
  const number = machine.numbers[name];
  for (;;) {
    const result = runtime.syscall(number, a, b, c, d, e, f);
    if (result !== -1) return result;
    const errno = runtime.errno();
    if (errno !== EINTR) return -errno;
  }
}

/** The result of {@link tryCall} when it is one. @throws SystemError with the action's text when it is not */
export function check(result: number, action: () => string): number {
  if (result < 0) throw new SystemError(action(), -result);
  return result;
}

/** The path with its NUL, for the first path argument. @throws SystemError */
export function pathArgument(path: string): Uint8Array {
  return writePath(firstPath, path);
}

/** The path with its NUL, for the second path argument of one call. @throws SystemError */
export function secondPathArgument(path: string): Uint8Array {
  return writePath(secondPath, path);
}

function writePath(buffer: Buffer, path: string): Uint8Array {
  if (path.length >= pathMax) throw new SystemError(`using the path '${path.slice(0, 60)}…'`, ENAMETOOLONG);
  const length = buffer.write(path, 0, "latin1");
  if (path.includes("\0")) throw new SystemError(`using the path ${JSON.stringify(path)} with a NUL byte`, EINVAL);
  buffer[length] = 0;
  return buffer;
}
