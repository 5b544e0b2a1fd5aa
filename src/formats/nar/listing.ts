/**
 * The listing of a NAR, which a binary cache keeps beside it as `<hash part>.ls`, so that one file of a store path can be
 * fetched alone. One line of JSON:
 *
 *     listing = {"version":1,"root":NODE}
 *     NODE    = {"type":"directory","entries":{NAME:NODE, …}}
 *             | {"type":"regular","size":N[,"executable":true],"narOffset":N}
 *             | {"type":"symlink","target":TARGET}
 *
 * Sizes and offsets are in bytes; `narOffset` is where the contents begin in the uncompressed NAR. Names and targets are
 * text, so a tree with a name that is not UTF-8 has no listing.
 */
import { SiloError } from "../../error.ts";
import { type ByteString, fromText, toText } from "../byte-string.ts";
import { close, closeEntry, directoryBody, type FileKind, padded, prologue } from "./format.ts";
import { entryHeadSize, fileHeadSize, symlinkBodySize } from "./nar-size.ts";
import type { NarVisitor } from "./visitor.ts";

export class UnlistableName extends SiloError {
  readonly code = "unlistable-name";
  constructor(readonly bytes: ByteString) {
    super(`Cannot list ${JSON.stringify(toText(bytes))}: it is not UTF-8`);
  }
}

/** Builds the listing of the tree that it visits. Every event may throw {@link UnlistableName}. */
export class ListingBuilder implements NarVisitor {
  private json = "";
  private depth = 0;
  /** Where in the NAR the visit is. */
  private offset = prologue.length;
  private first = true;

  directory(name: ByteString): void {
    this.open(name);
    this.json += '"directory","entries":{';
    this.offset += directoryBody.length;
    this.depth++;
    this.first = true;
  }

  leaveDirectory(): void {
    this.depth--;
    this.json += "}";
    this.closeNode();
  }

  file(name: ByteString, kind: FileKind, size: number): void {
    this.open(name);
    this.offset += fileHeadSize(kind);
    this.json += `"regular","size":${size}${kind === "executable" ? ',"executable":true' : ""},"narOffset":${this.offset}`;
    this.offset += padded(size);
    this.closeNode();
  }

  contents(): void {}

  endFile(): void {}

  symlink(name: ByteString, target: ByteString): void {
    this.open(name);
    this.json += `"symlink","target":${quote(target)}`;
    this.offset += symlinkBodySize(target.length);
    this.closeNode();
  }

  /** The text, without a line feed. */
  finish(): string {
    return `{"version":1,"root":${this.json}}`;
  }

  private open(name: ByteString): void {
    if (this.depth > 0) {
      this.json += `${this.first ? "" : ","}${quote(name)}:`;
      this.offset += entryHeadSize(name.length);
    }
    this.json += '{"type":';
    this.first = false;
  }

  private closeNode(): void {
    this.json += "}";
    this.first = false;
    this.offset += this.depth > 0 ? closeEntry.length : close.length;
  }
}

function quote(bytes: ByteString): string {
  const text = toText(bytes);
  if (fromText(text) !== bytes) throw new UnlistableName(bytes);
  return JSON.stringify(text);
}
