/** Listing directories with getdents64(2), since names are bytes and not every runtime's readdir keeps them. */
import { check, tryCall } from "./syscall.ts";
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, open } from "./descriptor.ts";
import { type FileKind, lstat } from "./stat.ts";

export interface DirectoryEntry {
  /** A byte string; never `.` or `..`. */
  readonly name: string;
  readonly kind: FileKind;
  /** Exact below 2^53; see {@link Stat.inode}. */
  readonly inode: number;
}

const DT_DIR = 4;
const DT_REG = 8;
const DT_LNK = 10;
const DT_UNKNOWN = 0;

const buffer = Buffer.alloc(65536);

/** The entries of an open directory in the file system's order, read from the descriptor's position. @throws SystemError */
export function readDirectoryEntries(fd: number): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  for (;;) {
    const size = check(tryCall("getdents64", fd, buffer, buffer.length), () => `reading directory (descriptor ${fd})`);
    if (size === 0) break;
    // struct linux_dirent64: ino u64, off u64, reclen u16, type u8, name, NUL
    for (let at = 0; at < size; ) {
      const length = buffer.readUInt16LE(at + 16);
      const type = buffer[at + 18]!;
      const inode = buffer.readUInt32LE(at) + buffer.readUInt32LE(at + 4) * 0x1_0000_0000;
      const start = at + 19;
      at += length;
      if (
        buffer[start] === 0x2e &&
        (buffer[start + 1] === 0 || (buffer[start + 1] === 0x2e && buffer[start + 2] === 0))
      ) {
        continue;
      }
      const name = buffer.toString("latin1", start, buffer.indexOf(0, start));
      entries.push({ name, kind: type === DT_REG ? "regular" : otherKind(type, name, fd), inode });
    }
  }
  return entries;
}

function otherKind(type: number, name: string, dirFd: number): FileKind {
  if (type === DT_DIR) return "directory";
  if (type === DT_LNK) return "symlink";
  if (type === DT_UNKNOWN) return lstat(name, dirFd).kind;
  return "other";
}

/** The entries of the directory `path`, which may not be a symbolic link. @throws SystemError */
export function readDirectory(path: string): DirectoryEntry[] {
  const fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    return readDirectoryEntries(fd);
  } finally {
    close(fd);
  }
}
