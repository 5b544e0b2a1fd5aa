/** Inode flags: ioctl_iflags(2). */
import { close, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, tryOpenAt } from "./descriptor.ts";
import { AT_FDCWD, tryCall } from "./syscall.ts";

const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;
const FS_IMMUTABLE_FL = 0x10;

/** Clears the immutable flag of a file or directory; quietly does nothing where there is none or it may not. */
export function clearImmutableFlag(path: string, dirFd = AT_FDCWD): void {
  const fd = tryOpenAt(dirFd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return;
  const flags = Buffer.alloc(8);
  if (tryCall("ioctl", fd, FS_IOC_GETFLAGS, flags) === 0) {
    const value = flags.readUInt32LE(0);
    if (value & FS_IMMUTABLE_FL) {
      flags.writeUInt32LE((value & ~FS_IMMUTABLE_FL) >>> 0, 0);
      tryCall("ioctl", fd, FS_IOC_SETFLAGS, flags);
    }
  }
  close(fd);
}
