/** Writes a NAR (format.ts) of what a tree walker says: a visitor that hands the bytes on in few chunks. */
import { SiloError } from "../../error.ts";
import { type ByteString, toText } from "../byte-string.ts";
import {
  close,
  closeEntry,
  directoryBody,
  entryNameFault,
  entryOpen,
  executableBody,
  type FileKind,
  maxDepth,
  nodeOpen,
  padded,
  prologue,
  regularBody,
  symlinkBody,
  targetFault,
} from "./format.ts";
import type { NarVisitor } from "./visitor.ts";

/** A tree that has no NAR: nested too deep, or with a name or target that is too long or out of order. */
export class CannotWriteNar extends SiloError {
  readonly code = "cannot-write-nar";
  constructor(readonly reason: string) {
    super(`Cannot write NAR: ${reason}`);
  }
}

/** Small pieces are gathered up to this many bytes. */
const bufferSize = 64 * 1024;
/** The buffer begins with this many: most NARs of a copy are small, and memory for thousands of them takes longer than they do. */
const firstBufferSize = 16 * 1024;
/** Contents of at least this many bytes are handed on without copying. */
const directSize = 16 * 1024;

const sizeSize = 8;
/** More than one call writes besides contents: the longest tags, a name, a target. */
const maxPiece = 8 * 1024;

/** Hands the NAR of the tree that it visits to `onBytes`; a chunk is valid during the call only. */
export class NarWriter implements NarVisitor {
  private buffer = new Uint8Array(firstBufferSize);
  /** The same bytes. What is handed on is no Buffer, whose `slice` would not copy. */
  private view = Buffer.from(this.buffer.buffer);
  private length = 0;
  private flushed = 0;
  /** For every open directory, the name of the entry written last. */
  private readonly lastNames: string[] = [];
  private state: "begin" | "directory" | "file" | "end" = "begin";
  /** Bytes that the open file still lacks, and its padding. */
  private left = 0;
  private padding = 0;

  constructor(private readonly onBytes: (chunk: Uint8Array) => void) {}

  /** @throws CannotWriteNar, as do {@link file} and {@link symlink} */
  directory(name: ByteString): void {
    this.open(name);
    this.tags(directoryBody);
    this.lastNames.push("");
    this.state = "directory";
  }

  leaveDirectory(): void {
    this.require("directory");
    this.lastNames.pop();
    this.closeNode();
  }

  file(name: ByteString, kind: FileKind, size: number): void {
    this.open(name);
    this.tags(kind === "regular" ? regularBody : executableBody);
    this.size(size);
    this.left = size;
    this.padding = padded(size) - size;
    this.state = "file";
  }

  /** @throws CannotWriteNar for more than the size that the file was said to have */
  contents(chunk: Uint8Array): void {
    this.require("file");
    this.left -= chunk.length;
    if (this.left < 0) throw new CannotWriteNar("a file has become longer while it was read");
    if (chunk.length >= directSize) {
      this.flush();
      this.flushed += chunk.length;
      this.onBytes(chunk);
    } else {
      this.reserve(chunk.length);
      this.buffer.set(chunk, this.length);
      this.length += chunk.length;
    }
  }

  /**
   * In place of {@link contents}: the caller hands on the next `size` bytes itself, after everything that came before them
   * has been handed on, which is so on return.
   * @throws CannotWriteNar for more than the size that the file was said to have
   */
  contentsElsewhere(size: number): void {
    this.require("file");
    this.left -= size;
    if (this.left < 0) throw new CannotWriteNar("a file has become longer while it was read");
    this.flush();
    this.flushed += size;
  }

  /** @throws CannotWriteNar for less than the size that the file was said to have */
  endFile(): void {
    this.require("file");
    if (this.left > 0) throw new CannotWriteNar("a file has become shorter while it was read");
    this.room();
    this.pad(this.padding);
    this.closeNode();
  }

  symlink(name: ByteString, target: ByteString): void {
    const fault = targetFault(target);
    if (fault !== undefined) throw new CannotWriteNar(`target of link ${quote(name)}: ${fault}`);
    this.open(name);
    this.tags(symlinkBody);
    this.text(target);
    this.closeNode();
  }

  /** Hands on what is left. Returns the size of the NAR in bytes. */
  finish(): number {
    this.require("end");
    this.flush();
    return this.flushed;
  }

  /** Writes what precedes the body of a node. */
  private open(name: ByteString): void {
    this.room();
    const depth = this.lastNames.length;
    if (depth === 0) {
      this.require("begin");
      this.tags(prologue);
      return;
    }
    this.require("directory");
    if (depth >= maxDepth) throw new CannotWriteNar(`${quote(name)}: directories are nested ${maxDepth} deep or more`);
    const fault = entryNameFault(name);
    if (fault !== undefined) throw new CannotWriteNar(`entry name ${quote(name)}: ${fault}`);
    const lastName = this.lastNames[depth - 1]!;
    if (name <= lastName) throw new CannotWriteNar(`entry ${quote(name)} comes after ${quote(lastName)}`);
    this.lastNames[depth - 1] = name;
    this.tags(entryOpen);
    this.text(name);
    this.tags(nodeOpen);
  }

  private closeNode(): void {
    this.room();
    const isRoot = this.lastNames.length === 0;
    this.tags(isRoot ? close : closeEntry);
    this.state = isRoot ? "end" : "directory";
  }

  /** Makes room for all that one call writes besides contents. */
  private room(): void {
    this.reserve(maxPiece);
  }

  /** Room for at most {@link directSize} bytes: by a larger buffer until it has its size, then by handing on. */
  private reserve(size: number): void {
    if (this.length + size <= this.buffer.length) return;
    if (this.buffer.length === bufferSize) return this.flush();
    const larger = new Uint8Array(bufferSize);
    larger.set(this.buffer.subarray(0, this.length));
    this.buffer = larger;
    this.view = Buffer.from(larger.buffer);
  }

  private flush(): void {
    if (this.length === 0) return;
    this.flushed += this.length;
    this.onBytes(this.buffer.subarray(0, this.length));
    this.length = 0;
  }

  private tags(tags: Uint8Array): void {
    this.buffer.set(tags, this.length);
    this.length += tags.length;
  }

  private text(text: string): void {
    this.size(text.length);
    this.length += this.view.write(text, this.length, "latin1");
    this.pad(-text.length & 7);
  }

  private size(size: number): void {
    this.view.writeUInt32LE(size >>> 0, this.length);
    this.view.writeUInt32LE(Math.floor(size / 0x1_0000_0000), this.length + 4);
    this.length += sizeSize;
  }

  private pad(count: number): void {
    for (let i = 0; i < count; i++) this.buffer[this.length++] = 0;
  }

  private require(state: NarWriter["state"]): void {
    if (this.state !== state) throw new Error(`the NAR writer is at ${this.state}, not at ${state}`);
  }
}

function quote(bytes: string): string {
  return JSON.stringify(toText(bytes));
}
