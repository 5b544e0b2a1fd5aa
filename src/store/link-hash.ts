/**
 * The name of a file in `.links`: the Nix base32 of the sha256 of the NAR that has only this file. Execute bit and kind are
 * in it, so files that must not share an inode never do.
 *
 * Most files are small and there are many: the NAR around one is put together in a buffer that all share, and hashed at
 * once.
 */
import { encodeBase32 } from "../formats/base32.ts";
import {
  close,
  executableBody,
  type FileKind,
  maxTargetLength,
  padded,
  prologue,
  regularBody,
  symlinkBody,
} from "../formats/nar/format.ts";
import { createHash } from "../node-crypto.ts";
import { read } from "../sys/descriptor.ts";
import { SystemError } from "../sys/system-error.ts";

/** What precedes the contents or the target: a head, and its length in 8 bytes. */
const heads = {
  regular: headOf(regularBody),
  executable: headOf(executableBody),
  symlink: headOf(symlinkBody),
};

const chunkSize = 256 * 1024;
/** What follows contents: padding and the closing tag. */
const maxTail = 7 + close.length;
const buffer = Buffer.allocUnsafeSlow(heads.executable.length + chunkSize + maxTail);
const EIO = 5;

function headOf(body: Uint8Array): Uint8Array {
  return Buffer.concat([prologue, body, Buffer.alloc(8)]);
}

/** Puts a head at the buffer's beginning; returns its length. */
function putHead(kind: keyof typeof heads, size: number): number {
  const head = heads[kind];
  buffer.set(head);
  buffer.writeUInt32LE(size >>> 0, head.length - 8);
  buffer.writeUInt32LE(Math.floor(size / 0x1_0000_0000), head.length - 4);
  return head.length;
}

/** Puts what follows `size` bytes of contents at `at`; returns the end. */
function putTail(size: number, at: number): number {
  const closing = at + padded(size) - size;
  buffer.fill(0, at, closing);
  buffer.set(close, closing);
  return closing + close.length;
}

/** Reads `size` bytes from the beginning of the open file. @throws SystemError */
export function fileLinkName(fd: number, kind: FileKind, size: number): string {
  const hasher = createHash("sha256");
  let end = putHead(kind, size);
  for (let left = size; left > 0; ) {
    const limit = Math.min(end + left, heads.executable.length + chunkSize);
    const count = read(fd, buffer.subarray(end, limit));
    if (count === 0) throw new SystemError(`reading from file descriptor ${fd}: the file shrank`, EIO);
    end += count;
    left -= count;
    if (left > 0 && end === heads.executable.length + chunkSize) {
      hasher.update(buffer.subarray(0, end));
      end = 0;
    }
  }
  hasher.update(buffer.subarray(0, putTail(size, end)));
  return encodeBase32(hasher.digest());
}

/** As {@link fileLinkName}, for whoever reads the contents anyway. */
export interface LinkHasher {
  feed(chunk: Uint8Array): void;
  /** After as many bytes as the file was said to have. */
  finish(): string;
}

export function linkHasher(kind: FileKind, size: number): LinkHasher {
  const hasher = createHash("sha256");
  hasher.update(buffer.subarray(0, putHead(kind, size)));
  return {
    feed: (chunk) => void hasher.update(chunk),
    finish() {
      hasher.update(buffer.subarray(0, putTail(size, 0)));
      return encodeBase32(hasher.digest());
    },
  };
}

/** `target` is not longer than any system call takes. */
export function symlinkLinkName(target: string): string {
  if (target.length > maxTargetLength) throw new Error(`a link's target has ${target.length} bytes`);
  const at = putHead("symlink", target.length);
  const end = at + buffer.write(target, at, "latin1");
  const hasher = createHash("sha256");
  hasher.update(buffer.subarray(0, putTail(target.length, end)));
  return encodeBase32(hasher.digest());
}
