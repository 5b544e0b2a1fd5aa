/** Hash and size of NARs: as a visitor, and of trees on disk. */
import type { Hash, HashAlgo } from "../../formats/hash.ts";
import type { NarVisitor } from "../../formats/nar/visitor.ts";
import { NarWriter } from "../../formats/nar/write-nar.ts";
import { read, writeAll } from "../../sys/descriptor.ts";
import { cannotTransfer, sendFile } from "../../sys/transfer.ts";
import { compileQuickly, methodsOf } from "./quick-compilation.ts";
import { streamHash } from "./stream-hash.ts";
import { type PathFilter, type TreeVisitor, UnsupportedFile, walkTree } from "./walk.ts";

export interface NarDigest {
  readonly hash: Hash;
  /** Bytes of the NAR. */
  readonly size: number;
}

export interface NarHasher {
  readonly visitor: NarVisitor;
  /** When the tree is complete. */
  finish(): NarDigest;
}

/** @param expectedSize bytes of the NAR, where somebody knows */
export function narHasher(algo: HashAlgo, expectedSize = 0): NarHasher {
  const hasher = streamHash(algo);
  const writer = new NarWriter((chunk) => hasher.update(chunk));
  hasher.expect(expectedSize);
  // The writer gathers bytes before it hands some on: a large file near the beginning is announced in time.
  const visitor: NarVisitor = {
    directory: (name) => writer.directory(name),
    leaveDirectory: () => writer.leaveDirectory(),
    file(name, kind, size) {
      hasher.expect(size);
      writer.file(name, kind, size);
    },
    contents: (chunk) => writer.contents(chunk),
    endFile: () => writer.endFile(),
    symlink: (name, target) => writer.symlink(name, target),
  };
  compileQuickly(...methodsOf(visitor));
  return {
    visitor,
    finish() {
      const size = writer.finish();
      return { hash: { algo, bytes: hasher.digest() }, size };
    },
  };
}

/** Reads the whole tree. @param expectedSize as for {@link narHasher} @throws UnsupportedFile, SystemError */
export function hashTree(path: string, algo: HashAlgo, filter?: PathFilter, expectedSize?: number): NarDigest {
  const hasher = narHasher(algo, expectedSize);
  walkTree(path, hasher.visitor, filter);
  return hasher.finish();
}

/**
 * Writes the NAR of a tree to a descriptor. Large files go there without passing through this process, where the kernel
 * can do that. @throws UnsupportedFile, SystemError
 */
export function dumpTreeTo(toFd: number, path: string): void {
  const writer = new NarWriter((chunk) => writeAll(toFd, chunk));
  const visitor: TreeVisitor = {
    directory: (name) => writer.directory(name),
    leaveDirectory: () => writer.leaveDirectory(),
    file: (name, kind, size) => writer.file(name, kind, size),
    contents: (chunk) => writer.contents(chunk),
    contentsFrom(fd, size) {
      writer.contentsElsewhere(size);
      sendContents(fd, toFd, size, path);
    },
    endFile: () => writer.endFile(),
    symlink: (name, target) => writer.symlink(name, target),
  };
  compileQuickly(...methodsOf(visitor));
  walkTree(path, visitor);
  writer.finish();
}

/** Half a gigabyte a call: the kernel sends two at most. */
const sendSize = 0x2000_0000;

function sendContents(fd: number, toFd: number, size: number, shown: string): void {
  let buffer: Buffer | undefined;
  for (let left = size; left > 0; ) {
    let count = buffer === undefined ? sendFile(fd, toFd, Math.min(left, sendSize)) : cannotTransfer;
    if (count === cannotTransfer) {
      buffer ??= Buffer.allocUnsafeSlow(256 * 1024);
      count = read(fd, buffer.subarray(0, Math.min(left, buffer.length)));
      writeAll(toFd, buffer.subarray(0, count));
    }
    if (count === 0) throw new UnsupportedFile(shown, `a file of ${size} bytes in it shrank while being read`);
    left -= count;
  }
}

/** Hands the NAR of a tree to `onBytes`, chunk by chunk; returns its size. @throws UnsupportedFile, SystemError */
export function dumpTree(path: string, onBytes: (chunk: Uint8Array) => void, filter?: PathFilter): number {
  const writer = new NarWriter(onBytes);
  walkTree(path, writer, filter);
  return writer.finish();
}
