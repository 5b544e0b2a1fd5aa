/**
 * The primitives that the worker protocol, the serve protocol, NAR and the export stream share.
 *
 *     u64     8 bytes, little-endian
 *     bool    u64: 0 is false, anything else true; written as 0 or 1
 *     string  u64 length, the bytes, then 0 to 7 NUL bytes up to a multiple of 8
 *     list    u64 count, the items
 *
 * Strings are byte strings. Every string and list is read with the most that the caller allows, and memory is taken as
 * the bytes arrive, never on the word of a length. See the Nix manual, "Serialisation primitives".
 */
import { SiloError } from "../error.ts";
import { type ByteString, decodeBytes } from "./byte-string.ts";
import { type Codec, upTo } from "./codec.ts";

export class BadWire extends SiloError {
  readonly code = "bad-wire";
  constructor(
    /** What was being read, such as `number of references`. */
    readonly what: string,
    readonly reason: string,
  ) {
    super(`Cannot read ${what}: ${reason}`);
  }
}

/** Strings up to this many bytes are wanted in one piece; longer ones in pieces of at most as much. */
const pieceSize = 64 * 1024;

/** All 64 bits. Two's complement, where a field is signed, is the caller's: `BigInt.asIntN(64, …)`. */
export function* readU64(): Codec<bigint> {
  return exactU64(yield 8, 0);
}

/** A u64 of at most `max`, which defaults to the greatest integer that a number holds exactly. @throws BadWire */
export function* readNumber(what: string, max: number = Number.MAX_SAFE_INTEGER): Codec<number> {
  const bytes = yield 8;
  const value = approximateU64(bytes, 0); // exact up to 2^53, and above 2^53 when it is not
  if (value > max) throw new BadWire(what, `${exactU64(bytes, 0)} is too large, at most ${max} is allowed`);
  return value;
}

export function* readBool(): Codec<boolean> {
  return approximateU64(yield 8, 0) !== 0;
}

/** @throws BadWire for a length above `maxBytes` and for padding that is not zero */
export function* readString(what: string, maxBytes: number): Codec<ByteString> {
  const size = yield* readSize(what, maxBytes);
  if (size === 0) return "" as ByteString;
  if (size > pieceSize) return decodeBytes(yield* readPieces(what, size));
  const padded = yield size + (-size & 7);
  checkPadding(what, padded, size);
  return decodeBytes(padded.subarray(0, size));
}

/** As {@link readString}, in a fresh array of bytes. */
export function* readBytes(what: string, maxBytes: number): Codec<Uint8Array> {
  const size = yield* readSize(what, maxBytes);
  return size === 0 ? new Uint8Array(0) : yield* readPieces(what, size);
}

export interface ListLimits {
  /** Items at most. */
  readonly maxCount: number;
  /** Bytes of one item at most. */
  readonly maxBytes: number;
}

/** @throws BadWire */
export function* readStrings(what: string, limits: ListLimits): Codec<ByteString[]> {
  const count = yield* readNumber(`number of ${what}`, limits.maxCount);
  const items: ByteString[] = []; // not `new Array(count)`: the count is only a claim
  for (let i = 0; i < count; i++) items.push(yield* readString(what, limits.maxBytes));
  return items;
}

/** Collects values in wire form. */
export class WireWriter {
  private buffer = Buffer.allocUnsafe(256);
  private length = 0;

  /** A negative, fractional or inexact number is a mistake of ours. A negative bigint is written as two's complement. */
  u64(value: number | bigint): this {
    const at = this.grow(8);
    if (typeof value === "bigint") this.buffer.writeBigUInt64LE(BigInt.asUintN(64, value), at);
    else {
      if (!Number.isSafeInteger(value) || value < 0) throw new Error(`not a u64: ${value}`);
      this.buffer.writeUInt32LE(value >>> 0, at);
      this.buffer.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
    }
    return this;
  }

  bool(value: boolean): this {
    return this.u64(value ? 1 : 0);
  }

  /** A byte string, or ASCII. Text that is neither is a mistake of ours: it has to be encoded first. */
  string(bytes: string): this {
    if (/[^\x00-\xff]/.test(bytes)) throw new Error(`not a byte string: ${JSON.stringify(bytes)}`);
    this.u64(bytes.length);
    const at = this.grow(bytes.length + (-bytes.length & 7));
    this.buffer.write(bytes, at, "latin1");
    this.buffer.fill(0, at + bytes.length, this.length);
    return this;
  }

  /** Bytes as a string of the wire: with their length before and padding behind. */
  bytes(bytes: Uint8Array): this {
    this.u64(bytes.length);
    const at = this.grow(bytes.length + (-bytes.length & 7));
    this.buffer.set(bytes, at);
    this.buffer.fill(0, at + bytes.length, this.length);
    return this;
  }

  /** In the given order: sets are sorted by the caller. */
  strings(items: readonly string[]): this {
    this.u64(items.length);
    for (const item of items) this.string(item);
    return this;
  }

  /** Bytes that are in wire form already. */
  raw(bytes: Uint8Array): this {
    const at = this.grow(bytes.length); // first: it may replace the buffer
    this.buffer.set(bytes, at);
    return this;
  }

  /** What was written since the last call. The caller owns it. */
  take(): Uint8Array {
    const taken = new Uint8Array(this.buffer.buffer, this.buffer.byteOffset, this.length);
    this.buffer = Buffer.allocUnsafe(256);
    this.length = 0;
    return taken;
  }

  /** Makes room for `size` bytes and returns where they begin. */
  private grow(size: number): number {
    const at = this.length;
    const needed = at + size;
    if (needed > this.buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2));
      larger.set(this.buffer.subarray(0, at));
      this.buffer = larger;
    }
    this.length = needed;
    return at;
  }
}

/** The u64 at `at` as a number: exact up to 2^53, and certainly above it when it is not. */
export function approximateU64(bytes: Uint8Array, at: number): number {
  return low32(bytes, at) + low32(bytes, at + 4) * 0x1_0000_0000;
}

/** The u64 at `at`, for messages. */
export function exactU64(bytes: Uint8Array, at: number): bigint {
  return BigInt(low32(bytes, at)) | (BigInt(low32(bytes, at + 4)) << 32n);
}

function low32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

function* readSize(what: string, maxBytes: number): Codec<number> {
  const bytes = yield 8;
  const size = approximateU64(bytes, 0);
  if (size > maxBytes) throw new BadWire(what, `${exactU64(bytes, 0)} bytes long, at most ${maxBytes} are allowed`);
  return size;
}

/** `size` > 0 bytes and their padding, in memory that grows with what has arrived. */
function* readPieces(what: string, size: number): Codec<Uint8Array> {
  let buffer = new Uint8Array(Math.min(size, pieceSize));
  for (let length = 0; length < size; ) {
    if (length === buffer.length) {
      const larger = new Uint8Array(Math.min(size, buffer.length * 2));
      larger.set(buffer);
      buffer = larger;
    }
    const piece = yield upTo(Math.min(buffer.length - length, pieceSize));
    buffer.set(piece, length);
    length += piece.length;
  }
  const padding = -size & 7;
  if (padding > 0) checkPadding(what, yield padding, 0);
  return buffer;
}

function checkPadding(what: string, bytes: Uint8Array, from: number): void {
  for (let i = from; i < bytes.length; i++) {
    if (bytes[i] !== 0) throw new BadWire(what, "padding is not zero");
  }
}
