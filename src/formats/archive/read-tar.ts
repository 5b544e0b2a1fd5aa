/**
 * Reads tar archives: the old format, POSIX ustar and pax, and GNU tar's long names. An archive is a sequence of blocks of 512 bytes:
 * a header, then the contents of the file, filled up with zeros; two blocks of zeros end it.
 *
 *     header = name[100] mode[8] uid[8] gid[8] size[12] mtime[12] checksum[8] type linkname[100]
 *              magic[8] uname[32] gname[32] devmajor[8] devminor[8] prefix[155] padding[12]
 *
 * Numbers are octal digits, or when the first bit is set, the rest of the field is a binary number. See tar(5) and pax in POSIX.
 * Devices and fifos are refused, since a store cannot hold them, and sparse files. Of metadata, only the owner's execute bit counts.
 */
import { type ByteString, decodeBytes } from "../byte-string.ts";
import { type Codec, upTo } from "../codec.ts";
import { type ArchiveVisitor, archivePath, BadArchive, maxPathLength } from "./archive-visitor.ts";

const blockSize = 512;
/** Bytes of a pax header or a GNU long name at most. */
const maxExtendedSize = 1024 * 1024;
const ownerExecute = 0o100;

/** Up to the two blocks of zeros; what follows is not read. @throws BadArchive */
export function* readTar(visitor: ArchiveVisitor): Codec<void> {
  let offset = 0;
  let globals: Overrides = {};
  let overrides: Overrides = {};
  for (;;) {
    const block = yield blockSize;
    if (isZero(block)) return;
    const at = offset;
    const header = parseHeader(block, at);
    offset += blockSize;
    const size = "gxLK".includes(header.type) ? header.size : (overrides.size ?? globals.size ?? header.size);
    const padding = -size & (blockSize - 1);
    switch (header.type) {
      case "g":
        globals = { ...globals, ...parsePax(yield* readAll(size, at), at) };
        break;
      case "x":
        overrides = { ...overrides, ...parsePax(yield* readAll(size, at), at) };
        break;
      case "L":
        overrides = { ...overrides, path: untilNul(yield* readAll(size, at)) };
        break;
      case "K":
        overrides = { ...overrides, linkpath: untilNul(yield* readAll(size, at)) };
        break;
      default: {
        const { path = header.path, linkpath = header.linkpath } = { ...globals, ...overrides };
        if (overrides.sparse === true)
          throw new BadArchive(at, `${show(path)} is a sparse file, which is not supported`);
        yield* readEntry(visitor, { ...header, path, linkpath, size }, at);
        overrides = {};
      }
    }
    if (padding > 0) yield padding;
    offset += size + padding;
  }
}

interface Header {
  readonly path: ByteString;
  readonly linkpath: ByteString;
  readonly type: string;
  readonly mode: number;
  /** Bytes of contents. */
  readonly size: number;
}

/** What an extended header says in the place of the header. */
interface Overrides {
  readonly path?: ByteString;
  readonly linkpath?: ByteString;
  readonly size?: number;
  readonly sparse?: true;
}

function* readEntry(visitor: ArchiveVisitor, header: Header, at: number): Codec<void> {
  const { type, size } = header;
  const isFile = type === "0" || type === "\0" || type === "7";
  // Old archives have no type for directories.
  if (type === "5" || type === "D" || (isFile && header.path.endsWith("/"))) {
    visitor.directory(archivePath(header.path, at));
    yield* skip(size);
    return;
  }
  if (type === "V") {
    yield* skip(size);
    return;
  }
  const path = archivePath(header.path, at);
  if (path === "") throw new BadArchive(at, "the root is not a directory");
  if (isFile) {
    visitor.file(path, header.mode & ownerExecute ? "executable" : "regular");
    for (let left = size; left > 0; ) {
      const chunk = yield upTo(Math.min(left, maxChunk));
      visitor.contents(chunk);
      left -= chunk.length;
    }
    visitor.endFile();
    return;
  }
  if (type === "1") visitor.hardlink(path, archivePath(header.linkpath, at));
  else if (type === "2") visitor.symlink(path, checkTarget(header.linkpath, path, at));
  else
    throw new BadArchive(
      at,
      `${show(path)} is ${kinds[type] ?? `of the unknown type ${JSON.stringify(type)}`}, which a store cannot hold`,
    );
  yield* skip(size);
}

const kinds: Readonly<Record<string, string>> = {
  "3": "a character device",
  "4": "a block device",
  "6": "a fifo",
  S: "a sparse file of GNU tar",
  M: "the continuation of a file in another archive",
};

const maxChunk = 256 * 1024;

function checkTarget(target: ByteString, path: ByteString, at: number): ByteString {
  if (target !== "" && target.length < maxPathLength && !target.includes("\0")) return target;
  throw new BadArchive(at, `the link ${show(path)} has a target that is empty or too long`);
}

function parseHeader(block: Uint8Array, at: number): Header {
  const stated = parseNumber(block, 148, 8, at);
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < blockSize; i++) {
    const byte = i >= 148 && i < 156 ? 0x20 : block[i]!;
    unsigned += byte;
    signed += (byte << 24) >> 24;
  }
  // Some old programs added signed characters.
  if (stated !== unsigned && stated !== signed) {
    throw new BadArchive(at, at === 0 ? "this is not a tar archive" : "the checksum of a header is wrong");
  }
  const name = field(block, 0, 100);
  const isUstar = field(block, 257, 6) === "ustar" && block[263] === 0x30;
  const prefix = isUstar ? field(block, 345, 155) : "";
  return {
    path: (prefix === "" ? name : `${prefix}/${name}`) as ByteString,
    linkpath: field(block, 157, 100),
    type: String.fromCharCode(block[156]!),
    mode: parseNumber(block, 100, 8, at),
    size: parseNumber(block, 124, 12, at),
  };
}

function field(block: Uint8Array, start: number, size: number): ByteString {
  return untilNul(block.subarray(start, start + size));
}

function untilNul(bytes: Uint8Array): ByteString {
  const end = bytes.indexOf(0);
  return decodeBytes(end < 0 ? bytes : bytes.subarray(0, end));
}

function parseNumber(block: Uint8Array, start: number, size: number, at: number): number {
  if (block[start]! & 0x80) {
    let value = block[start]! & 0x7f;
    for (let i = start + 1; i < start + size; i++) value = value * 256 + block[i]!;
    if (block[start] === 0x80 && Number.isSafeInteger(value)) return value;
    throw new BadArchive(at, "a number in a header is too large");
  }
  const text = field(block, start, size).trim();
  if (!/^[0-7]*$/.test(text))
    throw new BadArchive(at, at === 0 ? "this is not a tar archive" : "a number in a header is not octal");
  return text === "" ? 0 : Number.parseInt(text, 8);
}

/** Records `<length> <key>=<value>\n`, where the length is that of the whole record in decimal. */
function parsePax(bytes: Uint8Array, at: number): Overrides {
  const text = decodeBytes(bytes);
  const overrides: { -readonly [K in keyof Overrides]: Overrides[K] } = {};
  for (let position = 0; position < text.length && text[position] !== "\0"; ) {
    const space = text.indexOf(" ", position);
    const digits = text.slice(position, space);
    const end = position + Number(digits);
    const equals = text.indexOf("=", space);
    if (space < 0 || !/^[1-9][0-9]{0,8}$/.test(digits) || end > text.length || equals < 0 || equals >= end) {
      throw new BadArchive(at, "a record of an extended header is damaged");
    }
    if (text[end - 1] !== "\n") throw new BadArchive(at, "a record of an extended header does not end with its line");
    const key = text.slice(space + 1, equals);
    const value = text.slice(equals + 1, end - 1) as ByteString;
    if (key === "path") overrides.path = value;
    else if (key === "linkpath") overrides.linkpath = value;
    else if (key.startsWith("GNU.sparse.")) overrides.sparse = true;
    else if (key === "size") {
      if (!/^[0-9]{1,15}$/.test(value)) throw new BadArchive(at, "the size in an extended header is no number");
      overrides.size = Number(value);
    }
    position = end;
  }
  return overrides;
}

function* readAll(size: number, at: number): Codec<Uint8Array> {
  if (size > maxExtendedSize)
    throw new BadArchive(at, `an extended header of ${size} bytes, at most ${maxExtendedSize} are allowed`);
  if (size === 0) return new Uint8Array(0);
  return Uint8Array.from(yield size);
}

function* skip(size: number): Codec<void> {
  for (let left = size; left > 0; ) left -= (yield upTo(Math.min(left, maxChunk))).length;
}

function isZero(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

function show(path: ByteString): string {
  return JSON.stringify(path);
}
