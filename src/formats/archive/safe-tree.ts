/**
 * Keeps an archive within the directory that it is unpacked to: nothing is made below a symbolic link, whatever the archive made before,
 * and what a later entry replaces is told to be removed first. It decides by what the archive itself has made in an empty directory.
 */
import type { ByteString } from "../byte-string.ts";
import { type ArchiveVisitor, BadArchive } from "./archive-visitor.ts";

/** Who really makes the tree. Parents exist, and nothing is where something is made. */
export interface TreeMaker extends ArchiveVisitor {
  /** A file or symbolic link that another entry takes the place of. */
  remove(path: ByteString): void;
}

type Kind = "directory" | "file" | "symlink";

/** Names at each level at most: deeper trees cannot be in a store. */
const maxDepth = 64;

export interface SafeTree extends ArchiveVisitor {
  /** Of the root, in the order of their first occurrence. */
  readonly topLevel: ReadonlyMap<ByteString, Kind>;
}

export function safeTree(maker: TreeMaker): SafeTree {
  const kinds = new Map<ByteString, Kind>();
  const topLevel = new Map<ByteString, Kind>();

  function remember(path: ByteString, kind: Kind): void {
    kinds.set(path, kind);
    if (!path.includes("/")) topLevel.set(path, kind);
  }

  /** Returns whether the path has to be made. @throws BadArchive */
  function prepare(path: ByteString, kind: Kind): "make" | "exists" {
    if (path === "") return "exists";
    const parts = path.split("/");
    if (parts.length > maxDepth) fail(path, `it lies deeper than ${maxDepth} directories`);
    for (let depth = 1; depth < parts.length; depth++) {
      const parent = parts.slice(0, depth).join("/") as ByteString;
      const parentKind = kinds.get(parent);
      if (parentKind === "directory") continue;
      if (parentKind !== undefined) fail(path, `${JSON.stringify(parent)}, which it is in, is a ${parentKind}`);
      maker.directory(parent);
      remember(parent, "directory");
    }
    const before = kinds.get(path);
    if (before === "directory" && kind === "directory") return "exists";
    if (before === "directory") fail(path, "it is a directory already");
    if (before !== undefined) maker.remove(path);
    remember(path, kind);
    return "make";
  }

  function fail(path: ByteString, reason: string): never {
    throw new BadArchive(undefined, `${JSON.stringify(path)} cannot be made: ${reason}`);
  }

  return {
    topLevel,
    directory(path) {
      if (prepare(path, "directory") === "make") maker.directory(path);
    },
    file(path, kind) {
      prepare(path, "file");
      maker.file(path, kind);
    },
    contents: (chunk) => maker.contents(chunk),
    endFile: () => maker.endFile(),
    symlink(path, target) {
      prepare(path, "symlink");
      maker.symlink(path, target);
    },
    hardlink(path, target) {
      const kind = kinds.get(target);
      if (kind === undefined || kind === "directory") {
        fail(path, `${JSON.stringify(target)}, which it links to, is no file before it`);
      }
      if (path === target) return;
      prepare(path, kind);
      maker.hardlink(path, target);
    },
  };
}
