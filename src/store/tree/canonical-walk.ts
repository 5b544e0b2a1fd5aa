/**
 * Taking a tree that somebody else made (a builder) into the store in one pass: while it is shown to a visitor, each file
 * gets canonical metadata and, where files are shared, becomes a link to the inode that others with its contents have.
 */
import type { ByteString } from "../../formats/byte-string.ts";
import { maxDepth } from "../../formats/nar/format.ts";
import type { NarVisitor } from "../../formats/nar/visitor.ts";
import { close, O_NOFOLLOW, O_RDONLY, openAt, read } from "../../sys/descriptor.ts";
import { readDirectoryEntries } from "../../sys/directory.ts";
import { fchmod, setDescriptorMtime } from "../../sys/metadata.ts";
import { readlink } from "../../sys/names.ts";
import type { Stat } from "../../sys/stat.ts";
import { AT_FDCWD } from "../../sys/syscall.ts";
import { linkHasher, symlinkLinkName } from "../link-hash.ts";
import type { FileSharer } from "../optimise.ts";
import {
  canonicalMtimeSec,
  type CanonicaliseOptions,
  canonicaliseModeAndTime,
  claimEntry,
  openToList,
} from "./canonical-metadata.ts";
import { UnsupportedFile } from "./walk.ts";

const chunk = Buffer.allocUnsafeSlow(256 * 1024);
const ownerExecute = 0o100;

/**
 * Contents are handed on in chunks of up to 256 KiB that alias one buffer.
 * @param sharer undefined to leave files unshared
 * @throws SuspiciousFile, UnsupportedFile, SystemError, and what the visitor throws
 */
export function walkCanonicalising(
  root: string,
  visitor: NarVisitor,
  options: CanonicaliseOptions,
  sharer: FileSharer | undefined,
): void {
  const isRoot = process.geteuid!() === 0;

  function entry(dirFd: number, name: string, shown: string, entryName: string, depth: number, unlock: () => void) {
    const { status, state } = claimEntry(name, dirFd, shown, options);
    if (status.kind === "directory") return directory(dirFd, name, status, shown, entryName, depth);
    if (state === "claimed") canonicaliseModeAndTime(name, dirFd, status);
    const linkName =
      status.kind === "symlink" ? link(dirFd, name, entryName) : file(dirFd, name, status, shown, entryName);
    if (linkName !== undefined) sharer?.share(dirFd, name, status, linkName, shown, unlock);
  }

  function link(dirFd: number, name: string, entryName: string): string | undefined {
    const target = readlink(name, dirFd);
    visitor.symlink(entryName as ByteString, target as ByteString);
    return sharer === undefined ? undefined : symlinkLinkName(target);
  }

  function file(dirFd: number, name: string, status: Stat, shown: string, entryName: string): string | undefined {
    const { size, mode } = status;
    const kind = mode & ownerExecute ? "executable" : "regular";
    const shared = sharer === undefined ? undefined : linkHasher(kind, size);
    const fd = openAt(dirFd, name, O_RDONLY | O_NOFOLLOW);
    try {
      visitor.file(entryName as ByteString, kind, size);
      for (let left = size; left > 0; ) {
        const count = read(fd, left < chunk.length ? chunk.subarray(0, left) : chunk);
        if (count === 0) throw new UnsupportedFile(shown, `it shrank from ${size} bytes while being read`);
        const bytes = chunk.subarray(0, count);
        visitor.contents(bytes);
        shared?.feed(bytes);
        left -= count;
      }
      visitor.endFile();
    } finally {
      close(fd);
    }
    return shared?.finish();
  }

  function directory(dirFd: number, name: string, status: Stat, shown: string, entryName: string, depth: number): void {
    if (depth >= maxDepth) throw new UnsupportedFile(shown, `it lies deeper than ${maxDepth} directories`);
    const fd = openToList(name, dirFd, status);
    try {
      visitor.directory(entryName as ByteString);
      const unlock = () => {
        if (!isRoot) fchmod(fd, 0o755);
      };
      const names = readDirectoryEntries(fd).map((each) => each.name);
      // Units are bytes: this is the NAR's order.
      for (const child of names.sort()) entry(fd, child, `${shown}/${child}`, child, depth + 1, unlock);
      visitor.leaveDirectory();
      fchmod(fd, 0o555);
      setDescriptorMtime(fd, canonicalMtimeSec);
    } finally {
      close(fd);
    }
  }

  // The store directory itself is writable.
  entry(AT_FDCWD, root, root, "", 0, () => {});
}
