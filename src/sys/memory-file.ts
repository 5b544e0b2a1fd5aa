/** Files that are nowhere but in memory: memfd_create(2). */
import { close, writeAll } from "./descriptor.ts";
import { check, pathArgument, tryCall } from "./syscall.ts";

const MFD_CLOEXEC = 1;
const SEEK_SET = 0;

/** A descriptor at the beginning of a file with these contents. The caller closes it. @throws SystemError */
export function memoryFile(name: string, contents: Iterable<Uint8Array>): number {
  const fd = check(tryCall("memfd_create", pathArgument(name), MFD_CLOEXEC), () => "making a file in memory");
  try {
    for (const chunk of contents) writeAll(fd, chunk);
    check(tryCall("lseek", fd, 0, SEEK_SET), () => "rewinding a file in memory");
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}
