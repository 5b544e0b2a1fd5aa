/** Walking a tree on disk in the order of its NAR, for whichever visitor: hashing, copying, writing an archive. */
import { SiloError } from "../../error.ts";
import type { ByteString } from "../../formats/byte-string.ts";
import { maxDepth } from "../../formats/nar/format.ts";
import type { NarVisitor } from "../../formats/nar/visitor.ts";
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt, read } from "../../sys/descriptor.ts";
import { type DirectoryEntry, readDirectoryEntries } from "../../sys/directory.ts";
import { readlink } from "../../sys/names.ts";
import { type FileKind, fstat, lstat } from "../../sys/stat.ts";
import { AT_FDCWD } from "../../sys/syscall.ts";
import { compileQuickly } from "./quick-compilation.ts";

/** Something on disk that cannot be in a store, or that changes while it is read. */
export class UnsupportedFile extends SiloError {
  readonly code = "unsupported-file";
  constructor(
    readonly path: string,
    readonly reason: string,
  ) {
    super(`Cannot archive '${path}': ${reason}`);
  }
}

export interface TreeVisitor extends NarVisitor {
  /** In place of `contents`, for a file that is large: takes all of its `size` bytes from the open file's beginning. */
  contentsFrom?(fd: number, size: number): void;
}

/** Files of at least this many bytes are large. */
const largeSize = 64 * 1024;

/** Says which files take part; a directory left out is not entered. `path` is as the walk was given it. */
export type PathFilter = (path: string, kind: FileKind) => boolean;

const chunkSize = 256 * 1024;
const ownerExecute = 0o100;

/** For the next walk, while none is under way: stores have many small trees. */
let spareBuffer: Buffer | undefined;

/**
 * Reads the tree once. Contents are handed on in chunks of up to 256 KiB that alias one buffer.
 * @throws UnsupportedFile for sockets, devices and fifos, for trees too deep, and for files cut while being read
 */
export function walkTree(path: string, visitor: TreeVisitor, filter?: PathFilter): void {
  const buffer = spareBuffer ?? Buffer.allocUnsafeSlow(chunkSize);
  spareBuffer = undefined;

  function node(dirFd: number, name: string, kind: FileKind, shown: string, entryName: string, depth: number): void {
    if (depth >= maxDepth) throw new UnsupportedFile(shown, `it lies in ${maxDepth} directories or more`);
    switch (kind) {
      case "regular":
        return file(dirFd, name, shown, entryName);
      case "directory":
        return directory(dirFd, name, shown, entryName, depth);
      case "symlink":
        return visitor.symlink(entryName as ByteString, readlink(name, dirFd) as ByteString);
      case "other":
        throw new UnsupportedFile(shown, "it is a socket, device or fifo; only files, directories and symlinks can be");
    }
  }

  function file(dirFd: number, name: string, shown: string, entryName: string): void {
    const fd = openAt(dirFd, name, O_RDONLY | O_NOFOLLOW);
    try {
      const { size, mode } = fstat(fd);
      visitor.file(entryName as ByteString, mode & ownerExecute ? "executable" : "regular", size);
      if (size >= largeSize && visitor.contentsFrom !== undefined) {
        visitor.contentsFrom(fd, size);
        return visitor.endFile();
      }
      for (let left = size; left > 0; ) {
        const count = read(fd, left < chunkSize ? buffer.subarray(0, left) : buffer);
        if (count === 0) throw new UnsupportedFile(shown, `it shrank from ${size} bytes while being read`);
        visitor.contents(buffer.subarray(0, count));
        left -= count;
      }
      visitor.endFile();
    } finally {
      close(fd);
    }
  }

  function directory(dirFd: number, name: string, shown: string, entryName: string, depth: number): void {
    const fd = openAt(dirFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      visitor.directory(entryName as ByteString);
      for (const entry of readDirectoryEntries(fd).sort(byName)) {
        const child = `${shown}/${entry.name}`;
        if (filter?.(child, entry.kind) === false) continue;
        node(fd, entry.name, entry.kind, child, entry.name, depth + 1);
      }
      visitor.leaveDirectory();
    } finally {
      close(fd);
    }
  }

  compileQuickly(node, file, directory, byName);
  try {
    node(AT_FDCWD, path, lstat(path).kind, path, "", 0);
  } finally {
    spareBuffer = buffer;
  }
}

/** Names of one directory differ, so that equality need not be told. Units are bytes: `<` is the NAR's order. */
function byName(a: DirectoryEntry, b: DirectoryEntry): number {
  return a.name < b.name ? -1 : 1;
}
