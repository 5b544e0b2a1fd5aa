/**
 * Unpacking an archive to a directory on disk. Nothing can be made outside of it: names are checked before (formats/archive), and files
 * are created with O_EXCL and O_NOFOLLOW.
 */
import { readAt } from "../../sys/read-at.ts";
import { close, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY, open, writeAll } from "../../sys/descriptor.ts";
import { mkdir, rename, symlink, tryLink, tryRmdir, unlink } from "../../sys/names.ts";
import { fstat, lstat } from "../../sys/stat.ts";
import { check } from "../../sys/syscall.ts";
import { readDirectory } from "../../sys/directory.ts";
import type { RandomAccess } from "../../formats/archive/read-zip.ts";
import { safeTree, type TreeMaker } from "../../formats/archive/safe-tree.ts";
import { unpackArchive } from "../../formats/archive/unpack-archive.ts";

/** What is kept of an archive that holds a single directory: that one's contents in its place, or all as it is. */
export type TopLevel = "strip-single-directory" | "keep";

/**
 * Unpacks the file `archive` to `destination`, which must not exist; after a failure, what there is of it stays for the caller to
 * delete. Files get the modes 0644 and 0755.
 * @throws BadArchive, BadCompression, BadBzip2, BadXz, UnexpectedEnd, SystemError
 */
export async function unpackTree(archive: string, destination: string, topLevel: TopLevel): Promise<void> {
  const fd = open(archive, O_RDONLY);
  const maker = treeMaker(destination);
  try {
    mkdir(destination, 0o755);
    await unpackArchive(fileAccess(fd), safeTree(maker));
  } finally {
    maker.abandon();
    close(fd);
  }
  if (topLevel === "strip-single-directory") stripSingleDirectory(destination);
}

function stripSingleDirectory(destination: string): void {
  const entries = readDirectory(destination);
  const [only] = entries;
  if (only === undefined || entries.length > 1 || lstat(`${destination}/${only.name}`).kind !== "directory") return;
  const aside = `${destination}.unpacked`;
  rename(`${destination}/${only.name}`, aside);
  check(tryRmdir(destination), () => `removing directory '${destination}'`);
  rename(aside, destination);
}

function fileAccess(fd: number): RandomAccess {
  let buffer = Buffer.alloc(256 * 1024);
  return {
    size: fstat(fd).size,
    read(offset, length) {
      if (buffer.length < length) buffer = Buffer.alloc(length);
      const wanted = buffer.subarray(0, length);
      readAt(fd, wanted, offset);
      return wanted;
    },
  };
}

function treeMaker(root: string): TreeMaker & { abandon(): void } {
  let file = -1;
  const full = (path: string) => `${root}/${path}`;
  return {
    directory: (path) => mkdir(full(path), 0o755),
    file(path, kind) {
      file = open(full(path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, kind === "executable" ? 0o755 : 0o644);
    },
    contents: (chunk) => writeAll(file, chunk),
    endFile() {
      close(file);
      file = -1;
    },
    symlink: (path, target) => symlink(target, full(path)),
    hardlink(path, target) {
      check(tryLink(full(target), full(path)), () => `linking '${full(path)}' to '${full(target)}'`);
    },
    remove: (path) => unlink(full(path)),
    abandon() {
      if (file >= 0) close(file);
      file = -1;
    },
  };
}
