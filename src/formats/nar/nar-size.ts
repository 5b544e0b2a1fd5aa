/** How many bytes a NAR (format.ts) has, from names and sizes alone. */
import {
  close,
  closeEntry,
  directoryBody,
  entryOpen,
  executableBody,
  type FileKind,
  nodeOpen,
  padded,
  prologue,
  regularBody,
  symlinkBody,
} from "./format.ts";

/** What surrounds the body of the root, or of an entry whose name has `nameLength` bytes. */
export const rootSize = prologue.length + close.length;
export function entrySize(nameLength: number): number {
  return entryHeadSize(nameLength) + closeEntry.length;
}

/** Bodies, in bytes. Of a directory without its entries. */
export const directoryBodySize = directoryBody.length;
export function fileBodySize(kind: FileKind, size: number): number {
  return fileHeadSize(kind) + padded(size);
}
export function symlinkBodySize(targetLength: number): number {
  return symlinkBody.length + 8 + padded(targetLength);
}

/** The part of {@link entrySize} that precedes the body. */
export function entryHeadSize(nameLength: number): number {
  return entryOpen.length + 8 + padded(nameLength) + nodeOpen.length;
}

/** The part of {@link fileBodySize} that precedes the contents. */
export function fileHeadSize(kind: FileKind): number {
  return (kind === "regular" ? regularBody : executableBody).length + 8;
}
