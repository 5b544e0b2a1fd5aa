/**
 * The name of a file in `.links`: the Nix base32 of the sha256 of the NAR that has only this file. Execute bit and kind are
 * in it, so files that must not share an inode never do.
 */
import { createHash } from "../formats/node-crypto.ts";
import { encodeBase32 } from "../formats/base32.ts";
import type { ByteString } from "../formats/byte-string.ts";
import type { FileKind } from "../formats/nar/format.ts";
import { NarWriter } from "../formats/nar/write-nar.ts";
import { read } from "../sys/descriptor.ts";
import { SystemError } from "../sys/system-error.ts";

const chunk = Buffer.allocUnsafeSlow(256 * 1024);
const EIO = 5;

/** Reads `size` bytes from the beginning of the open file. @throws SystemError */
export function fileLinkName(fd: number, kind: FileKind, size: number): string {
  const hasher = createHash("sha256");
  const writer = new NarWriter((bytes) => hasher.update(bytes));
  writer.file("" as ByteString, kind, size);
  for (let left = size; left > 0; ) {
    const count = read(fd, left < chunk.length ? chunk.subarray(0, left) : chunk);
    if (count === 0) throw new SystemError(`reading from file descriptor ${fd}: the file shrank`, EIO);
    writer.contents(chunk.subarray(0, count));
    left -= count;
  }
  writer.endFile();
  writer.finish();
  return encodeBase32(hasher.digest());
}

export function symlinkLinkName(target: string): string {
  const hasher = createHash("sha256");
  const writer = new NarWriter((bytes) => hasher.update(bytes));
  writer.symlink("" as ByteString, target as ByteString);
  writer.finish();
  return encodeBase32(hasher.digest());
}
