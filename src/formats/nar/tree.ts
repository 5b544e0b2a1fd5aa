/** A tree in memory, to and from NAR: for small trees and tests. Memory is taken as contents arrive. */
import { type ByteString, compareBytes } from "../byte-string.ts";
import { bytesReader } from "../bytes-reader.ts";
import { runSync } from "../codec.ts";
import type { FileKind } from "./format.ts";
import { directoryBodySize, entrySize, fileBodySize, rootSize, symlinkBodySize } from "./nar-size.ts";
import { readNar } from "./read-nar.ts";
import type { NarVisitor } from "./visitor.ts";
import { NarWriter } from "./write-nar.ts";

export type NarTree =
  | { readonly kind: FileKind; readonly contents: Uint8Array }
  | { readonly kind: "symlink"; readonly target: ByteString }
  | { readonly kind: "directory"; readonly entries: ReadonlyMap<ByteString, NarTree> };

/** @throws CannotWriteNar */
export function encodeNar(tree: NarTree): Uint8Array {
  const nar = new Uint8Array(narSize(tree));
  let length = 0;
  const writer = new NarWriter((chunk) => {
    nar.set(chunk, length);
    length += chunk.length;
  });
  visitTree(tree, writer);
  writer.finish();
  return nar;
}

/** The tree of a NAR, and how many bytes follow it. @throws BadNar, UnexpectedEnd */
export function decodeNar(nar: Uint8Array): { tree: NarTree; trailing: number } {
  const reader = bytesReader(nar, "NAR");
  const builder = new TreeBuilder();
  runSync(readNar(builder), reader);
  return { tree: builder.finish(), trailing: reader.left() };
}

/** Bytes of the tree's NAR. */
export function narSize(tree: NarTree): number {
  return rootSize + bodySize(tree);
}

/** Has `visitor` visit the tree, entries in the order of their bytes. */
export function visitTree(tree: NarTree, visitor: NarVisitor, name = "" as ByteString): void {
  switch (tree.kind) {
    case "symlink":
      visitor.symlink(name, tree.target);
      break;
    case "directory":
      visitor.directory(name);
      for (const entry of [...tree.entries.keys()].sort(compareBytes))
        visitTree(tree.entries.get(entry)!, visitor, entry);
      visitor.leaveDirectory();
      break;
    default:
      visitor.file(name, tree.kind, tree.contents.length);
      if (tree.contents.length > 0) visitor.contents(tree.contents);
      visitor.endFile();
  }
}

/** Builds the tree that it visits. */
export class TreeBuilder implements NarVisitor {
  private root: NarTree | undefined;
  private readonly open: Map<ByteString, NarTree>[] = [];
  private current: { name: ByteString; kind: FileKind; chunks: Uint8Array[] } | undefined;

  directory(name: ByteString): void {
    const entries = new Map<ByteString, NarTree>();
    this.add(name, { kind: "directory", entries });
    this.open.push(entries);
  }

  leaveDirectory(): void {
    this.open.pop();
  }

  file(name: ByteString, kind: FileKind): void {
    this.current = { name, kind, chunks: [] };
  }

  contents(chunk: Uint8Array): void {
    this.current!.chunks.push(new Uint8Array(chunk)); // copies, which the `slice` of a Buffer would not
  }

  endFile(): void {
    const { name, kind, chunks } = this.current!;
    this.add(name, { kind, contents: new Uint8Array(Buffer.concat(chunks)) });
  }

  symlink(name: ByteString, target: ByteString): void {
    this.add(name, { kind: "symlink", target });
  }

  finish(): NarTree {
    if (this.root === undefined || this.open.length > 0) throw new Error("the tree is not complete");
    return this.root;
  }

  private add(name: ByteString, tree: NarTree): void {
    const parent = this.open[this.open.length - 1];
    if (parent === undefined) this.root = tree;
    else parent.set(name, tree);
  }
}

function bodySize(tree: NarTree): number {
  switch (tree.kind) {
    case "symlink":
      return symlinkBodySize(tree.target.length);
    case "directory": {
      let size = directoryBodySize;
      for (const [name, child] of tree.entries) size += entrySize(name.length) + bodySize(child);
      return size;
    }
    default:
      return fileBodySize(tree.kind, tree.contents.length);
  }
}
