/**
 * Decompresses xz, as a push object:
 *
 *     file    = stream {zeros to a multiple of 4 | stream}
 *     stream  = FD "7zXZ" 00 flags crc32(flags) {block} index crc32 backward-size flags "YZ"
 *     block   = header {chunk of LZMA2} 00 zeros to a multiple of 4, check
 *     index   = 00 number {unpadded size, uncompressed size} zeros to a multiple of 4, crc32
 *
 * Checks by CRC32, CRC64 and SHA-256 are made. Filters before LZMA2 (for executables, which archives of sources do not use) are
 * refused, as are dictionaries above {@link maxDictionarySize}. See "The .xz File Format" (tukaani.org/xz/xz-file-format.txt).
 */
import { SiloError } from "../../error.ts";
import { type Check, createCheck, crc32 } from "./checks.ts";
import { decodeLzma2 } from "./lzma2.ts";
import { type PushBytes, pushBytes, type Step } from "./push-bytes.ts";

export class BadXz extends SiloError {
  readonly code = "bad-xz";
  constructor(
    /** Bytes of the compressed input that had been read. */
    readonly offset: number,
    readonly reason: string,
  ) {
    super(`Cannot decompress xz, before byte ${offset}: ${reason}`);
  }
}

/** Bytes. xz itself makes 64 MiB at most unless it is told otherwise. Memory is taken as the contents grow. */
export const maxDictionarySize = 512 * 1024 * 1024;

export interface XzDecoder {
  /** Any split of the input gives the same. The chunk may be reused on return. @throws BadXz */
  feed(chunk: Uint8Array): void;
  /** To be called once, at the end of the input. @throws BadXz when it ends within a stream */
  finish(): void;
}

/** @param onBytes a chunk is valid during the call only */
export function xzDecoder(onBytes: (chunk: Uint8Array) => void): XzDecoder {
  const input = pushBytes();
  const decoding = readFile(input, onBytes);
  return {
    feed(chunk) {
      input.feed(chunk);
      decoding.next();
    },
    finish() {
      input.end();
      decoding.next();
    },
  };
}

const magic = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
const lzma2Filter = 0x21;
/** By the low four bits of the flags; sizes of those that nobody uses, too, are in the specification. */
const checks: Readonly<Record<number, Check["kind"]>> = { 0: "none", 1: "crc32", 4: "crc64", 10: "sha256" };

function* readFile(input: PushBytes, onBytes: (chunk: Uint8Array) => void): Step<void> {
  for (let streams = 0; ; streams++) {
    let word = yield* take(input, 4);
    while (streams > 0 && word.every((byte) => byte === 0)) {
      if (yield* input.atEnd()) return;
      word = yield* take(input, 4);
    }
    yield* readStream(input, Uint8Array.from(word), onBytes);
    if (yield* input.atEnd()) return;
  }
}

/** `begin` are its first four bytes. */
function* readStream(input: PushBytes, begin: Uint8Array, onBytes: (chunk: Uint8Array) => void): Step<void> {
  const rest = yield* take(input, 8);
  if (![...begin, rest[0]!, rest[1]!].every((byte, i) => byte === magic[i])) fail(input, "this is not xz");
  const flags = [rest[2]!, rest[3]!] as const;
  if (crc32(rest.subarray(2, 4)) !== u32(rest, 4)) fail(input, "the checksum of the flags is wrong");
  const checkKind = checks[flags[1]];
  if (flags[0] !== 0 || checkKind === undefined) fail(input, `checks of the kind ${flags[1]} are not known`);

  const records: BlockSizes[] = [];
  for (;;) {
    const start = input.offset;
    const size = (yield* take(input, 1))[0]!;
    if (size === 0) {
      yield* readIndex(input, start, records);
      break;
    }
    records.push(yield* readBlock(input, start, size, checkKind, onBytes));
  }
  const footer = yield* take(input, 12);
  if (footer[10] !== 0x59 || footer[11] !== 0x5a) fail(input, "the stream does not end as it should");
  if (crc32(footer.subarray(4, 10)) !== u32(footer, 0)) fail(input, "the checksum of the footer is wrong");
  if (footer[8] !== flags[0] || footer[9] !== flags[1]) fail(input, "header and footer differ");
}

interface BlockSizes {
  readonly unpadded: number;
  readonly uncompressed: number;
}

function* readBlock(
  input: PushBytes,
  start: number,
  sizeByte: number,
  checkKind: Check["kind"],
  onBytes: (chunk: Uint8Array) => void,
): Step<BlockSizes> {
  const rest = yield* take(input, sizeByte * 4 + 3);
  const header = Uint8Array.from([sizeByte, ...rest]);
  const { dictionarySize, compressedSize, uncompressedSize } = parseBlockHeader(input, header);
  const check = createCheck(checkKind);
  const dataStart = input.offset;
  let uncompressed = 0;
  const fault = yield* decodeLzma2(input, dictionarySize, (chunk) => {
    uncompressed += chunk.length;
    check.update(chunk);
    onBytes(chunk);
  });
  if (fault !== undefined) fail(input, fault);
  const compressed = input.offset - dataStart;
  if ((compressedSize ?? compressed) !== compressed || (uncompressedSize ?? uncompressed) !== uncompressed) {
    fail(input, "a block has another size than it says");
  }
  const padding = yield* take(input, -compressed & 3);
  if (padding.some((byte) => byte !== 0)) fail(input, "the padding of a block is not zero");
  const unpadded = dataStart - start + compressed + check.size;
  if (!check.matches(yield* take(input, check.size))) fail(input, "the checksum of a block is wrong");
  return { unpadded, uncompressed };
}

function parseBlockHeader(input: PushBytes, header: Uint8Array) {
  const end = header.length - 4;
  if (crc32(header.subarray(0, end)) !== u32(header, end)) fail(input, "the checksum of a block's header is wrong");
  const flags = header[1]!;
  if ((flags & 0x3c) !== 0) fail(input, "a block has flags that are not known");
  const numbers = numberReader(input, header.subarray(0, end), 2);
  const compressedSize = flags & 0x40 ? numbers.next() : undefined;
  const uncompressedSize = flags & 0x80 ? numbers.next() : undefined;
  const filter = numbers.next();
  if ((flags & 3) !== 0 || filter !== lzma2Filter) fail(input, "filters other than LZMA2 are not supported");
  if (numbers.next() !== 1) fail(input, "LZMA2 has one byte of properties");
  const bits = numbers.byte();
  if (bits > 40) fail(input, "the size of the dictionary is not known");
  const dictionarySize = bits === 40 ? 2 ** 32 - 1 : (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11);
  if (dictionarySize > maxDictionarySize) {
    fail(input, `the dictionary has ${dictionarySize} bytes, at most ${maxDictionarySize} are allowed`);
  }
  numbers.zeros();
  return { dictionarySize, compressedSize, uncompressedSize };
}

function* readIndex(input: PushBytes, start: number, expected: readonly BlockSizes[]): Step<void> {
  let crc = crc32(Uint8Array.of(0));
  const readByte = function* (): Step<number> {
    const byte = yield* take(input, 1);
    crc = crc32(byte, crc);
    return byte[0]!;
  };
  const readNumber = function* (): Step<number> {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = yield* readByte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
      if (shift > 49) fail(input, "a number in the index is too large");
    }
  };
  if ((yield* readNumber()) !== expected.length) fail(input, "the index has another number of blocks");
  for (const { unpadded, uncompressed } of expected) {
    const same = (yield* readNumber()) === unpadded && (yield* readNumber()) === uncompressed;
    if (!same) fail(input, "the index and a block differ in size");
  }
  while (((input.offset - start) & 3) !== 0) {
    if ((yield* readByte()) !== 0) fail(input, "the padding of the index is not zero");
  }
  const stated = yield* take(input, 4);
  if (u32(stated, 0) !== crc) fail(input, "the checksum of the index is wrong");
}

/** Numbers of seven bits a byte, the low ones first. */
function numberReader(input: PushBytes, bytes: Uint8Array, start: number) {
  let at = start;
  const byte = () => (at < bytes.length ? bytes[at++]! : fail(input, "a block's header is too short"));
  return {
    byte,
    next(): number {
      let value = 0;
      for (let shift = 0; ; shift += 7) {
        const next = byte();
        value += (next & 0x7f) * 2 ** shift;
        if (next < 0x80) return value;
        if (shift > 49) fail(input, "a number in a block's header is too large");
      }
    },
    zeros(): void {
      if (bytes.subarray(at).some((each) => each !== 0)) fail(input, "the padding of a block's header is not zero");
    },
  };
}

function* take(input: PushBytes, n: number): Step<Uint8Array> {
  if (n === 0) return new Uint8Array(0);
  return (yield* input.take(n)) ?? fail(input, "the input ends unexpectedly");
}

function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

function fail(input: PushBytes, reason: string): never {
  throw new BadXz(input.offset, reason);
}
