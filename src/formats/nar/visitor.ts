/**
 * What a tree says of itself, in the order of its NAR. Readers and tree walkers drive a visitor; restoring, writing a
 * NAR, listing and building a tree in memory are visitors. So any of the first goes with any of the second.
 */
import type { ByteString } from "../byte-string.ts";
import type { FileKind } from "./format.ts";

/** The root's name is empty. Names are of one directory level; they have been checked (format.ts) and ascend. */
export interface NarVisitor {
  /** What follows, up to the matching {@link leaveDirectory}, is in this directory. */
  directory(name: ByteString): void;
  leaveDirectory(): void;
  /** `size` is in bytes; {@link contents} is called until that many have come, not at all for 0; then {@link endFile}. */
  file(name: ByteString, kind: FileKind, size: number): void;
  /** The next bytes of the file, at least one. They are valid during the call only. */
  contents(chunk: Uint8Array): void;
  endFile(): void;
  symlink(name: ByteString, target: ByteString): void;
}

/** For readers whose bytes are all that counts: reading checks them. */
export const ignoreNar: NarVisitor = {
  directory() {},
  leaveDirectory() {},
  file() {},
  contents() {},
  endFile() {},
  symlink() {},
};
