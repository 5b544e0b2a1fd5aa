/** Listing directories with getdents64(2), since names are bytes and not every runtime's readdir keeps them. */
import { check, tryCall } from "./syscall.ts";
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, open } from "./descriptor.ts";
import { type FileKind, tryLstat } from "./stat.ts";

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
  forEachEntry(fd, (bytes, start, end, type) => {
    const at = start - nameOffset;
    const inode = bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 0x1_0000_0000;
    const name = bytes.toString("latin1", start, end);
    const kind = type === DT_REG ? "regular" : otherKind(type, name, fd);
    if (kind !== undefined) entries.push({ name, kind, inode });
  });
  return entries;
}

/** Offset of the name in struct linux_dirent64: ino u64, off u64, reclen u16, type u8, name, NUL */
const nameOffset = 19;

/**
 * Shows each entry of an open directory without making anything of it: for directories of a million entries. The bytes
 * are overwritten later, and `visit` may not list another directory.
 * @param visit gets where the name begins and ends in the bytes, and its `DT_…` type @throws SystemError
 */
export function forEachEntry(
  fd: number,
  visit: (bytes: Buffer, start: number, end: number, type: number) => void,
): void {
  for (;;) {
    const size = check(tryCall("getdents64", fd, buffer, buffer.length), () => `reading directory (descriptor ${fd})`);
    if (size === 0) return;
    for (let at = 0; at < size; ) {
      const start = at + nameOffset;
      const type = buffer[at + 18]!;
      at += buffer[at + 16]! | (buffer[at + 17]! << 8);
      let end = start;
      while (buffer[end] !== 0) end++;
      const isDots = buffer[start] === dot && (end - start === 1 || (end - start === 2 && buffer[start + 1] === dot));
      if (!isDots) visit(buffer, start, end, type);
    }
  }
}

const dot = 0x2e;

/** Has the next reading begin at the first entry. @throws SystemError */
export function rewindDirectory(fd: number): void {
  check(tryCall("lseek", fd, 0, 0), () => `reading directory (descriptor ${fd})`);
}

/** Undefined for what is gone already: where a process ends while /proc is listed, the kernel does not know the type. */
function otherKind(type: number, name: string, dirFd: number): FileKind | undefined {
  if (type === DT_DIR) return "directory";
  if (type === DT_LNK) return "symlink";
  if (type === DT_UNKNOWN) return tryLstat(name, dirFd)?.kind;
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
