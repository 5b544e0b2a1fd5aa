/**
 * Decompresses bzip2 (the format is in encode.ts): a push object in memory of a few megabytes, whatever the input claims.
 * Streams one behind another count as one, as for bzip2 itself. Blocks of the "randomised" kind, which no bzip2 has
 * written since 1997, are refused.
 */
import { SiloError } from "../../error.ts";

export class BadBzip2 extends SiloError {
  readonly code = "bad-bzip2";
  constructor(
    /** Bytes of the compressed input that had been read. */
    readonly offset: number,
    readonly reason: string,
  ) {
    super(`Cannot decompress bzip2, before byte ${offset}: ${reason}`);
  }
}

export interface Bzip2Decoder {
  /** Any split of the input gives the same. The chunk may be reused on return. @throws BadBzip2 */
  feed(chunk: Uint8Array): void;
  /** To be called once, at the end of the input. @throws BadBzip2 when it ends within a stream */
  finish(): void;
}

/** @param onBytes a chunk is valid during the call only */
export function bzip2Decoder(onBytes: (chunk: Uint8Array) => void): Bzip2Decoder {
  const input: Input = { chunk: new Uint8Array(0), at: 0, before: 0, bits: 0, count: 0, ended: false };
  const decoding = readStreams(input, onBytes);
  decoding.next();
  return {
    feed(chunk) {
      if (chunk.length === 0) return;
      input.before += input.at;
      input.chunk = chunk;
      input.at = 0;
      decoding.next();
    },
    finish() {
      input.ended = true;
      decoding.next();
    },
  };
}

/** What is left of the chunk, and the low `count` bits of `bits`, not used yet. */
interface Input {
  chunk: Uint8Array;
  at: number;
  /** Bytes of the chunks before. */
  before: number;
  bits: number;
  count: number;
  ended: boolean;
}

/** Yields when the chunk is used up. */
type Step<T> = Generator<undefined, T, undefined>;

const maxGroupCount = 6;
const groupSize = 50;
const maxCodeLength = 20;
const maxSelectors = 18_002;
const endOfStream = 0x177245;
const startOfBlock = 0x314159;

function fail(input: Input, reason: string): never {
  throw new BadBzip2(input.before + input.at, reason);
}

/** Makes `n` <= 24 bits available. */
function* fill(input: Input, n: number): Step<void> {
  while (input.count < n) {
    while (input.at === input.chunk.length) {
      if (input.ended) fail(input, "the input ends unexpectedly");
      yield;
    }
    input.bits = (input.bits << 8) | input.chunk[input.at++]!;
    input.count += 8;
  }
}

function takeBits(input: Input, n: number): number {
  input.count -= n;
  return (input.bits >>> input.count) & ((1 << n) - 1);
}

function* read(input: Input, n: number): Step<number> {
  if (input.count < n) yield* fill(input, n);
  return takeBits(input, n);
}

function* readU32(input: Input): Step<number> {
  return ((yield* read(input, 16)) * 0x10000 + (yield* read(input, 16))) >>> 0;
}

function* atEnd(input: Input): Step<boolean> {
  while (input.at === input.chunk.length) {
    if (input.ended) return true;
    yield;
  }
  return false;
}

function* readStreams(input: Input, onBytes: (chunk: Uint8Array) => void): Step<void> {
  for (let streams = 0; streams === 0 || !(yield* atEnd(input)); streams++) {
    const magic = yield* read(input, 24);
    const level = (yield* read(input, 8)) - 0x30;
    if (magic !== 0x425a68 || level < 1 || level > 9) fail(input, `expected "BZh1" to "BZh9"`);
    yield* readBlocks(input, level * 100_000, onBytes);
    input.count -= input.count % 8; // the padding
    if (input.count > 0) fail(input, "a whole byte is left over");
  }
}

function* readBlocks(input: Input, blockSize: number, onBytes: (chunk: Uint8Array) => void): Step<void> {
  const block = new Uint32Array(blockSize);
  const expander = runExpander(onBytes);
  let streamCrc = 0;
  for (;;) {
    const high = yield* read(input, 24);
    const low = yield* read(input, 24);
    const crc = yield* readU32(input);
    if (high === endOfStream && low === 0x385090) {
      if (crc !== streamCrc) fail(input, "the checksum of the stream is wrong");
      return;
    }
    if (high !== startOfBlock || low !== 0x265359) fail(input, "expected a block or the end of the stream");
    if ((yield* read(input, 1)) === 1) fail(input, "randomised blocks are not supported");
    const origin = yield* read(input, 24);
    const size = yield* readSymbols(input, block);
    if (origin >= size) fail(input, `the block of ${size} bytes begins at row ${origin}`);
    if (invert(block, size, origin, expander) !== crc) fail(input, "the checksum of a block is wrong");
    streamCrc = (((streamCrc << 1) | (streamCrc >>> 31)) ^ crc) >>> 0;
  }
}

/** Undoes Huffman codes, zero runs and move-to-front: the low bytes of `block`. Returns the size. */
function* readSymbols(input: Input, block: Uint32Array): Step<number> {
  const alphabet = yield* readAlphabet(input);
  const groupCount = yield* read(input, 3);
  if (groupCount < 2 || groupCount > maxGroupCount) fail(input, `${groupCount} tables of codes, expected 2 to 6`);
  const selectors = yield* readSelectors(input, groupCount);
  const tables: CodeTable[] = [];
  for (let i = 0; i < groupCount; i++) tables.push(yield* readTable(input, alphabet.length + 2));

  const endOfBlock = alphabet.length + 1;
  let size = 0;
  let run = 0;
  let runBit = 1;
  for (let group = 0; group < selectors.length; group++) {
    const { limits, bases, symbols } = tables[selectors[group]!]!;
    for (let i = 0; i < groupSize; i++) {
      if (input.count < maxCodeLength) yield* fill(input, maxCodeLength);
      let length = 1;
      let code = takeBits(input, 1);
      while (length <= maxCodeLength && code > limits[length]!) {
        code = (code << 1) | takeBits(input, 1);
        length++;
      }
      const symbol = length > maxCodeLength ? undefined : symbols[code - bases[length]!];
      if (symbol === undefined) fail(input, "no symbol has this code");
      if (symbol <= 1) {
        run += runBit << symbol;
        runBit <<= 1;
        if (run > block.length) fail(input, "a block is too long");
        continue;
      }
      if (run > 0) {
        if (size + run > block.length) fail(input, "a block is too long");
        block.fill(alphabet[0]!, size, size + run);
        size += run;
        run = 0;
        runBit = 1;
      }
      if (symbol === endOfBlock) return size;
      if (size === block.length) fail(input, "a block is too long");
      const place = symbol - 1;
      const byte = alphabet[place]!;
      alphabet.copyWithin(1, 0, place);
      alphabet[0] = byte;
      block[size++] = byte;
    }
  }
  return fail(input, "a block does not end");
}

/** The bytes that occur, ascending. */
function* readAlphabet(input: Input): Step<Uint8Array> {
  const rows = yield* read(input, 16);
  const bytes: number[] = [];
  for (let row = 0; row < 16; row++) {
    if (((rows >> (15 - row)) & 1) === 0) continue;
    const columns = yield* read(input, 16);
    for (let column = 0; column < 16; column++) if ((columns >> (15 - column)) & 1) bytes.push(row * 16 + column);
  }
  if (bytes.length === 0) fail(input, "a block has no bytes");
  return Uint8Array.from(bytes);
}

/** Which table each group of 50 symbols uses: places in a list, moved to the front, in unary. */
function* readSelectors(input: Input, groupCount: number): Step<Uint8Array> {
  const count = yield* read(input, 15);
  if (count === 0) fail(input, "a block has no groups");
  const order = [0, 1, 2, 3, 4, 5].slice(0, groupCount);
  const selectors: number[] = [];
  for (let i = 0; i < count; i++) {
    let place = 0;
    while ((yield* read(input, 1)) === 1) if (++place >= groupCount) fail(input, "a group has no table");
    order.unshift(...order.splice(place, 1));
    if (i < maxSelectors) selectors.push(order[0]!); // some writers pad with ones that are not used
  }
  return Uint8Array.from(selectors);
}

/** Canonical codes: those of `length` bits are `bases[length]` above their place in `symbols`, and at most `limits[length]`. */
interface CodeTable {
  readonly limits: Int32Array;
  readonly bases: Int32Array;
  readonly symbols: Uint16Array;
}

function* readTable(input: Input, symbolCount: number): Step<CodeTable> {
  const lengths: number[] = [];
  let length = yield* read(input, 5);
  for (let i = 0; i < symbolCount; i++) {
    for (;;) {
      if (length < 1 || length > maxCodeLength) fail(input, `a code of ${length} bits`);
      if ((yield* read(input, 1)) === 0) break;
      length += (yield* read(input, 1)) === 0 ? 1 : -1;
    }
    lengths.push(length);
  }
  const limits = new Int32Array(maxCodeLength + 1).fill(-1);
  const bases = new Int32Array(maxCodeLength + 1);
  const symbols: number[] = [];
  let code = 0;
  for (let bits = 1; bits <= maxCodeLength; bits++) {
    bases[bits] = code - symbols.length;
    for (let i = 0; i < symbolCount; i++) {
      if (lengths[i] !== bits) continue;
      symbols.push(i);
      code++;
    }
    limits[bits] = code - 1;
    code <<= 1;
  }
  return { limits, bases, symbols: Uint16Array.from(symbols) };
}

/** Undoes the Burrows-Wheeler transform of the low bytes of `block`. Returns the checksum of what comes out. */
function invert(block: Uint32Array, size: number, origin: number, expander: RunExpander): number {
  const starts = new Uint32Array(256);
  for (let i = 0; i < size; i++) starts[block[i]! & 0xff]!++;
  for (let byte = 0, sum = 0; byte < 256; byte++) {
    const count = starts[byte]!;
    starts[byte] = sum;
    sum += count;
  }
  // Above its byte, each entry gets the row that follows it.
  for (let i = 0; i < size; i++) block[starts[block[i]! & 0xff]!++]! |= i << 8;
  let entry = block[block[origin]! >>> 8]!;
  expander.begin();
  for (let i = 0; i < size; i++) {
    expander.push(entry & 0xff);
    entry = block[entry >>> 8]!;
  }
  return expander.end();
}

interface RunExpander {
  begin(): void;
  push(byte: number): void;
  /** Hands on what is left; the checksum since {@link begin}. */
  end(): number;
}

/** Undoes the first step: behind four equal bytes is the number of further ones. */
function runExpander(onBytes: (chunk: Uint8Array) => void): RunExpander {
  const out = new Uint8Array(64 * 1024);
  let length = 0;
  let crc = -1;
  let last = -1;
  let repeats = 0;

  function write(byte: number): void {
    if (length === out.length) flush();
    out[length++] = byte;
    crc = (crc << 8) ^ crcTable[(crc >>> 24) ^ byte]!;
  }
  function flush(): void {
    if (length > 0) onBytes(out.subarray(0, length));
    length = 0;
  }

  return {
    begin() {
      crc = -1;
      last = -1;
      repeats = 0;
    },
    push(byte) {
      if (repeats === 4) {
        for (let i = 0; i < byte; i++) write(last);
        repeats = 0;
        last = -1;
        return;
      }
      repeats = byte === last ? repeats + 1 : 1;
      last = byte;
      write(byte);
    },
    end() {
      flush();
      return ~crc >>> 0;
    },
  };
}

const crcTable = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});
