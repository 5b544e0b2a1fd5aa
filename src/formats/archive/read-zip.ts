/**
 * Reads zip archives, by the directory at their end:
 *
 *     archive   = {local header, name, extra, contents} directory [zip64 end, zip64 locator] end
 *     directory = {"PK" 1 2, fixed fields, name, extra, comment}
 *     end       = "PK" 5 6, disks, numbers of entries, u32(size and offset of the directory), comment
 *
 * Contents are stored or deflated; other methods, encryption and archives in several parts are refused. See "APPNOTE.TXT" (PKWARE).
 */
import { Inflate } from "fflate";
import { type ByteString, decodeBytes } from "../byte-string.ts";
import { crc32 } from "../xz/checks.ts";
import { type ArchiveVisitor, archivePath, BadArchive, maxPathLength } from "./archive-visitor.ts";

/** An archive on disk or in memory. */
export interface RandomAccess {
  /** Bytes. */
  readonly size: number;
  /** Exactly `length` bytes, valid until the next call; the range lies within the archive. */
  read(offset: number, length: number): Uint8Array;
}

const endSize = 22;
const maxCommentSize = 0xffff;
const directoryEntrySize = 46;
const localHeaderSize = 30;
/** The directory is read at once; bytes. */
const maxDirectorySize = 256 * 1024 * 1024;
const chunkSize = 256 * 1024;
const unknown32 = 0xffff_ffff;

/** @throws BadArchive */
export function readZip(archive: RandomAccess, visitor: ArchiveVisitor): void {
  const directory = locateDirectory(archive);
  if (directory.size > maxDirectorySize) throw new BadArchive(directory.offset, "the directory is too large");
  const bytes = Uint8Array.from(range(archive, directory.offset, directory.size));
  let at = 0;
  for (let index = 0; index < directory.count; index++) {
    const where = directory.offset + at;
    const view = viewOf(bytes, at, directoryEntrySize, where);
    if (view.getUint32(0, true) !== 0x02014b50) throw new BadArchive(where, "an entry of the directory is damaged");
    const sizes = [view.getUint16(28, true), view.getUint16(30, true), view.getUint16(32, true)] as const;
    const nameAt = at + directoryEntrySize;
    const end = nameAt + sizes[0] + sizes[1] + sizes[2];
    if (end > bytes.length) throw new BadArchive(where, "an entry of the directory is longer than the directory");
    const name = decodeBytes(bytes.subarray(nameAt, nameAt + sizes[0]));
    const extra = bytes.subarray(nameAt + sizes[0], nameAt + sizes[0] + sizes[1]);
    readEntry(archive, visitor, parseEntry(view, name, extra, where));
    at = end;
  }
}

interface Entry {
  readonly name: ByteString;
  readonly where: number;
  readonly method: number;
  readonly crc: number;
  readonly compressedSize: number;
  readonly size: number;
  readonly localOffset: number;
  /** As stat(2) has it, when the archive was made on Unix. */
  readonly mode: number | undefined;
}

function parseEntry(view: DataView, name: ByteString, extra: Uint8Array, where: number): Entry {
  const [madeBy, flags, method] = [view.getUint16(4, true), view.getUint16(8, true), view.getUint16(10, true)];
  const shown = JSON.stringify(name);
  if (flags & 1) throw new BadArchive(where, `${shown} is encrypted`);
  if (method !== 0 && method !== 8)
    throw new BadArchive(where, `${shown} is compressed by the method ${method}, only deflate is supported`);
  const fields = {
    size: view.getUint32(24, true),
    compressedSize: view.getUint32(20, true),
    localOffset: view.getUint32(42, true),
  };
  const isUnix = madeBy >> 8 === 3;
  return {
    name,
    where,
    method,
    crc: view.getUint32(16, true),
    ...zip64Fields(fields, extra, where),
    mode: isUnix ? view.getUint16(40, true) : undefined,
  };
}

/** The fields that are all ones are in the extra field 1, in this order. */
function zip64Fields<T extends Record<"size" | "compressedSize" | "localOffset", number>>(
  fields: T,
  extra: Uint8Array,
  where: number,
): T {
  const wanted = (["size", "compressedSize", "localOffset"] as const).filter((name) => fields[name] === unknown32);
  if (wanted.length === 0) return fields;
  for (let at = 0; at + 4 <= extra.length; ) {
    const view = viewOf(extra, at, 4, where);
    const length = view.getUint16(2, true);
    if (view.getUint16(0, true) === 1 && length >= 8 * wanted.length) {
      const values = viewOf(extra, at + 4, length, where);
      return { ...fields, ...Object.fromEntries(wanted.map((name, i) => [name, safeSize(values, 8 * i, where)])) };
    }
    at += 4 + length;
  }
  throw new BadArchive(where, "an entry lacks its 64-bit sizes");
}

const typeMask = 0o170000;
const ownerExecute = 0o100;

function readEntry(archive: RandomAccess, visitor: ArchiveVisitor, entry: Entry): void {
  const type = (entry.mode ?? 0) & typeMask;
  const path = archivePath(entry.name, entry.where);
  if (entry.name.endsWith("/") || type === 0o040000) return visitor.directory(path);
  if (path === "") throw new BadArchive(entry.where, "an entry has no name");
  if (type === 0o120000) {
    const target: Uint8Array[] = [];
    if (entry.size >= maxPathLength || entry.size === 0)
      throw new BadArchive(entry.where, `the link ${JSON.stringify(path)} is too long`);
    readContents(archive, entry, (chunk) => target.push(Uint8Array.from(chunk)));
    return visitor.symlink(path, decodeBytes(Buffer.concat(target)));
  }
  if (type !== 0 && type !== 0o100000)
    throw new BadArchive(entry.where, `${JSON.stringify(path)} is no file, directory or link`);
  visitor.file(path, (entry.mode ?? 0) & ownerExecute ? "executable" : "regular");
  readContents(archive, entry, (chunk) => visitor.contents(chunk));
  visitor.endFile();
}

function readContents(archive: RandomAccess, entry: Entry, onBytes: (chunk: Uint8Array) => void): void {
  const { localOffset, where } = entry;
  const local = viewOf(range(archive, localOffset, localHeaderSize), 0, localHeaderSize, localOffset);
  if (local.getUint32(0, true) !== 0x04034b50) throw new BadArchive(localOffset, "the header of a file is damaged");
  const start = localOffset + localHeaderSize + local.getUint16(26, true) + local.getUint16(28, true);
  let crc = 0;
  let size = 0;
  const receive = (chunk: Uint8Array) => {
    size += chunk.length;
    if (size > entry.size) throw new BadArchive(where, `${JSON.stringify(entry.name)} is longer than it says`);
    crc = crc32(chunk, crc);
    if (chunk.length > 0) onBytes(chunk);
  };
  let isComplete = entry.method === 0 || entry.size === 0;
  const inflate = new Inflate((chunk, final) => {
    if (final) isComplete = true;
    receive(chunk);
  });
  for (let done = 0; done < entry.compressedSize; ) {
    const chunk = range(archive, start + done, Math.min(chunkSize, entry.compressedSize - done));
    done += chunk.length;
    if (entry.method === 0) receive(chunk);
    else push(inflate, Uint8Array.from(chunk), done === entry.compressedSize, entry);
  }
  if (!isComplete || size !== entry.size || crc !== entry.crc) {
    throw new BadArchive(where, `${JSON.stringify(entry.name)} is damaged: size or checksum are wrong`);
  }
}

/** fflate's errors are plain ones; those of the receiver pass. */
function push(inflate: Inflate, chunk: Uint8Array, final: boolean, { where, name }: Entry): void {
  try {
    inflate.push(chunk, final);
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "number") throw error;
    throw new BadArchive(where, `${JSON.stringify(name)} is damaged: ${error.message}`);
  }
}

interface Directory {
  readonly offset: number;
  readonly size: number;
  readonly count: number;
}

function locateDirectory(archive: RandomAccess): Directory {
  const tailSize = Math.min(archive.size, endSize + maxCommentSize);
  const tailAt = archive.size - tailSize;
  const tail = Uint8Array.from(range(archive, tailAt, tailSize));
  for (let at = tailSize - endSize; at >= 0; at--) {
    if (tail[at] !== 0x50 || tail[at + 1] !== 0x4b || tail[at + 2] !== 5 || tail[at + 3] !== 6) continue;
    const view = viewOf(tail, at, endSize, tailAt + at);
    if (at + endSize + view.getUint16(20, true) > tailSize) continue;
    if (view.getUint16(4, true) !== view.getUint16(6, true))
      throw new BadArchive(tailAt + at, "the archive is in several parts");
    const found = { offset: view.getUint32(16, true), size: view.getUint32(12, true), count: view.getUint16(10, true) };
    const is64 = found.offset === unknown32 || found.size === unknown32 || found.count === 0xffff;
    return (is64 ? locateDirectory64(archive, tailAt + at) : undefined) ?? found;
  }
  throw new BadArchive(archive.size, "this is not a zip archive, or its end is missing");
}

function locateDirectory64(archive: RandomAccess, endAt: number): Directory | undefined {
  const locatorSize = 20;
  if (endAt < locatorSize) return undefined;
  const locator = viewOf(range(archive, endAt - locatorSize, locatorSize), 0, locatorSize, endAt - locatorSize);
  if (locator.getUint32(0, true) !== 0x07064b50) return undefined;
  const at = safeSize(locator, 8, endAt);
  const view = viewOf(range(archive, at, 56), 0, 56, at);
  if (view.getUint32(0, true) !== 0x06064b50) throw new BadArchive(at, "the 64-bit end of the directory is damaged");
  return { offset: safeSize(view, 48, at), size: safeSize(view, 40, at), count: safeSize(view, 32, at) };
}

function range(archive: RandomAccess, offset: number, length: number): Uint8Array {
  if (offset + length > archive.size) throw new BadArchive(offset, "the archive ends before what it says is there");
  return archive.read(offset, length);
}

function viewOf(bytes: Uint8Array, at: number, length: number, where: number): DataView {
  if (at + length > bytes.length) throw new BadArchive(where, "a field is longer than what it is in");
  return new DataView(bytes.buffer, bytes.byteOffset + at, length);
}

function safeSize(view: DataView, at: number, where: number): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new BadArchive(where, "a size is too large");
  return Number(value);
}
