/**
 * Reads a NAR (format.ts) from any source, in constant memory. A file of a directory costs three wants: up to the length
 * of its name, up to the length of its contents, and to the tag after it.
 */
import { type ByteString, toText } from "../byte-string.ts";
import { type Codec, upTo } from "../codec.ts";
import { approximateU64, exactU64 } from "../wire.ts";
import {
  BadNar,
  close,
  closeEntry,
  directoryBody,
  entryNameFault,
  entryOpen,
  executableBody,
  type FileKind,
  maxDepth,
  maxEntryNameLength,
  maxTagLength,
  maxTargetLength,
  nodeOpen,
  padded,
  prologue,
  regularBody,
  symlinkBody,
  tagSize,
  targetFault,
} from "./format.ts";
import type { NarVisitor } from "./visitor.ts";

/** Files of at most this many bytes reach the visitor in one chunk, and no want for an exact number is much greater. */
const wholeFileSize = 64 * 1024;
/** Chunks of greater files have at most this many bytes. */
const chunkSize = 256 * 1024;

/**
 * What every body begins with at least: `regular contents <length>`, `regular executable`, `symlink target <length>` and
 * `directory )` all have this many bytes.
 */
const bodySize = 40;
const sizeSize = 8;
/** The part of an executable's body that does not fit in {@link bodySize}: `"" contents <length>`. */
const executableRest = executableBody.length + sizeSize - bodySize;

/**
 * Reads one NAR and not a byte beyond it. The visitor sees a prefix of a valid tree, whatever the input is: names are
 * checked, ordered and unique before it is called, so a restored tree stays below its root and no link is written through.
 * @throws BadNar
 */
export function* readNar(visitor: NarVisitor): Codec<void> {
  /** For every open directory, the name of the entry read last. */
  const lastNames: ByteString[] = [];
  const decode = nameDecoder();
  let name = "" as ByteString;
  let start = 0; // what `bytes` begins with is this many bytes into the NAR
  let bytes = yield prologue.length + bodySize;
  expect(bytes, 0, prologue, start);
  let at = prologue.length; // in `bytes`

  for (;;) {
    // bytes[at] begins the body of a node, and bodySize bytes of it are here.
    if (isAt(bytes, at, directoryBody)) {
      visitor.directory(name);
      lastNames.push("" as ByteString);
      at += directoryBody.length;
    } else {
      const inDirectory = lastNames.length > 0;
      const tail = inDirectory ? closeEntry.length + tagSize : close.length;
      let rest: number; // bytes of contents or target that precede the tail in `bytes`
      if (isAt(bytes, at, symlinkBody)) {
        at += symlinkBody.length;
        const length = approximateU64(bytes, at);
        if (length === 0 || length > maxTargetLength) {
          throw new BadNar(start + at, `target of link ${quote(name)}: ${lengthFault(bytes, at, maxTargetLength)}`);
        }
        start += at + sizeSize;
        rest = padded(length);
        bytes = yield rest + tail;
        const target = decode(bytes, 0, length);
        const fault = targetFault(target);
        if (fault !== undefined) throw new BadNar(start, `target of link ${quote(name)}: ${fault}`);
        checkPadding(bytes, length, rest, start);
        visitor.symlink(name, target);
      } else {
        let kind: FileKind = "regular";
        if (isAt(bytes, at, regularBody)) at += regularBody.length;
        else {
          expectBody(bytes, at, start);
          kind = "executable";
          start += at + bodySize;
          bytes = yield executableRest;
          at = executableRest - sizeSize;
          const expected = executableBody.subarray(bodySize);
          if (!isAt(bytes, 0, expected)) explain(bytes, 0, expected, start, `after "executable", `);
        }
        const size = approximateU64(bytes, at);
        if (size > Number.MAX_SAFE_INTEGER - wholeFileSize) {
          throw new BadNar(start + at, `file ${quote(name)} claims to have ${exactU64(bytes, at)} bytes`);
        }
        start += at + sizeSize;
        visitor.file(name, kind, size);
        if (size <= wholeFileSize) {
          rest = padded(size);
          bytes = yield rest + tail;
          if (size > 0) visitor.contents(bytes.subarray(0, size));
          checkPadding(bytes, size, rest, start);
        } else {
          for (let left = size; left > 0; left -= bytes.length) {
            bytes = yield upTo(Math.min(left, chunkSize));
            visitor.contents(bytes);
          }
          start += size;
          rest = padded(size) - size;
          bytes = yield rest + tail;
          checkPadding(bytes, 0, rest, start);
        }
        visitor.endFile();
      }
      if (!inDirectory) {
        expect(bytes, rest, close, start);
        return;
      }
      expect(bytes, rest, closeEntry, start);
      at = rest + closeEntry.length;
    }

    // bytes[at] begins the next entry, or closes the directory.
    while (isAt(bytes, at, close)) {
      visitor.leaveDirectory();
      lastNames.pop();
      if (lastNames.length === 0) return;
      start += at + tagSize;
      bytes = yield close.length + tagSize;
      expect(bytes, 0, close, start);
      at = close.length;
    }
    if (!isAt(bytes, at, entryTag)) explain(bytes, at, entryTag, start, "", `"entry" or ")"`);
    start += at + tagSize;
    bytes = yield entryOpen.length - tagSize + sizeSize;
    expect(bytes, 0, entryRest, start);
    at = entryRest.length;
    const length = approximateU64(bytes, at);
    if (length === 0 || length > maxEntryNameLength) {
      throw new BadNar(start + at, `entry name: ${lengthFault(bytes, at, maxEntryNameLength)}`);
    }
    start += at + sizeSize;
    const nameSize = padded(length);
    bytes = yield nameSize + nodeOpen.length + bodySize;
    name = decode(bytes, 0, length);
    const fault = entryNameFault(name);
    if (fault !== undefined) throw new BadNar(start, `entry name ${quote(name)}: ${fault}`);
    checkPadding(bytes, length, nameSize, start);
    const lastName = lastNames[lastNames.length - 1]!;
    if (name <= lastName) {
      const how = name === lastName ? "occurs twice" : `is not in order: it comes after ${quote(lastName)}`;
      throw new BadNar(start, `entry ${quote(name)} ${how}`);
    }
    lastNames[lastNames.length - 1] = name;
    expect(bytes, nameSize, nodeOpen, start);
    if (lastNames.length >= maxDepth) {
      throw new BadNar(start + nameSize + tagSize, `directories are nested ${maxDepth} deep or more`);
    }
    at = nameSize + nodeOpen.length;
  }
}

/** The two parts of {@link entryOpen}: what tells an entry from the directory's end, and the rest. */
const entryTag = entryOpen.subarray(0, tagSize);
const entryRest = entryOpen.subarray(tagSize);
/** What of an executable's body fits in {@link bodySize}. */
const executableBegin = executableBody.subarray(0, bodySize);

/** Is `expected` what `bytes` has at `at`? All of it is there. */
function isAt(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let i = 0; i < expected.length; i++) {
    if (bytes[at + i] !== expected[i]) return false;
  }
  return true;
}

function expect(bytes: Uint8Array, at: number, expected: Uint8Array, start: number): void {
  if (!isAt(bytes, at, expected)) explain(bytes, at, expected, start);
}

/** Requires the body of an executable, all others having been ruled out. */
function expectBody(bytes: Uint8Array, at: number, start: number): void {
  if (isAt(bytes, at, executableBegin)) return;
  for (const body of [directoryBody, symlinkBody]) {
    if (isAt(bytes, at, body.subarray(0, tagSize))) explain(bytes, at, body, start);
  }
  if (isAt(bytes, at, regularBody.subarray(0, tagSize))) {
    explain(bytes, at, executableBegin, start, "", `"contents" or "executable"`);
  }
  explain(bytes, at, directoryBody, start, "node type: ", `"regular", "directory" or "symlink"`);
}

/**
 * Says which tag of `expected` is not at `at`. `start` is the offset of `bytes` in the NAR, `wanted` what to call the tag
 * when there is a choice.
 * @throws BadNar
 */
function explain(
  bytes: Uint8Array,
  at: number,
  expected: Uint8Array,
  start: number,
  context = "",
  wanted?: string,
): never {
  for (let i = 0; i < expected.length; ) {
    const wantedLength = approximateU64(expected, i);
    const wantedTag = quoteTag(expected, i + sizeSize, wantedLength);
    const length = approximateU64(bytes, at + i);
    const offset = start + at + i;
    if (length > maxTagLength) {
      const claim = `a tag of ${exactU64(bytes, at + i)} bytes`;
      throw new BadNar(
        offset,
        `${context}expected ${wanted ?? wantedTag}, found ${claim}, at most ${maxTagLength} fit`,
      );
    }
    const foundTag = quoteTag(bytes, at + i + sizeSize, length);
    if (foundTag !== wantedTag) {
      throw new BadNar(offset, `${context}expected ${wanted ?? wantedTag}, found ${foundTag}`);
    }
    const end = i + sizeSize + padded(length);
    checkPadding(bytes, at + i + sizeSize + length, at + end, start);
    i = end;
  }
  throw new Error("a tag differs and does not");
}

/** The tag in quotes; what is not among the bytes at hand is an ellipsis. */
function quoteTag(bytes: Uint8Array, at: number, length: number): string {
  const tag = bytes.subarray(at, at + length);
  return quote(Buffer.from(tag).toString("latin1")) + (tag.length < length ? "…" : "");
}

function checkPadding(bytes: Uint8Array, from: number, to: number, start: number): void {
  for (let i = from; i < to; i++) {
    if (bytes[i] !== 0) throw new BadNar(start + i, "padding is not zero");
  }
}

function lengthFault(bytes: Uint8Array, at: number, max: number): string {
  const length = exactU64(bytes, at);
  return length === 0n ? "it is empty" : `it is ${length} bytes long, at most ${max} are allowed`;
}

function quote(bytes: string): string {
  return JSON.stringify(toText(bytes));
}

/**
 * Decodes short byte strings. As answers mostly lie in one buffer, the view that can decode is made once for a buffer
 * instead of once for a name.
 */
function nameDecoder(): (bytes: Uint8Array, from: number, to: number) => ByteString {
  let view: Buffer = Buffer.alloc(0);
  return (bytes, from, to) => {
    if (view.buffer !== bytes.buffer) view = Buffer.from(bytes.buffer);
    const at = bytes.byteOffset;
    return view.toString("latin1", at + from, at + to) as ByteString;
  };
}
