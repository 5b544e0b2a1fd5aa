/**
 * bzip2, the compression of build logs. There is no specification but the program; its format:
 *
 *     stream = "BZh9" {block} 177245385090 crc32(stream) padding to a byte
 *     block  = 314159265359 crc32(block) bit(0) u24(row) symbols tables data       all numbers big-endian, in bits
 *
 * A block is up to 900,000 bytes of input in which four equal bytes are followed by a count of further ones. Its rotations
 * are sorted; the last byte of each, in that order, is moved to the front of a list of bytes, and its place in the list
 * written: runs of the first place in bijective base 2, the rest by Huffman codes, of which groups of 50 choose the best.
 * Blocks are smaller here than the format allows: each holds up the program for as long as its sorting takes.
 */
import { canonicalCodes, codeLengths } from "./huffman.ts";
import { rotationOrder } from "./suffix-array.ts";

/** Bytes of a block after run-length encoding. */
const blockSize = 256 * 1024;
const groupSize = 50;
const maxCodeLength = 17;
const maxRun = 255;

/** A push object; any split of the input gives the same stream. */
export class Bzip2Encoder {
  /** Grows up to the size of a block: most logs are short. */
  private block = new Uint8Array(1024);
  private length = 0;
  private crc = -1;
  private streamCrc = 0;
  private runByte = -1;
  private runLength = 0;
  private readonly bits: BitWriter;

  /** @param onBytes a chunk is the receiver's to keep */
  constructor(onBytes: (chunk: Uint8Array) => void) {
    this.bits = new BitWriter(onBytes);
    for (const character of "BZh9") this.bits.write(8, character.charCodeAt(0));
  }

  feed(chunk: Uint8Array): void {
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (byte === this.runByte && this.runLength < maxRun) {
        this.runLength++;
        continue;
      }
      this.endRun();
      if (this.length + 5 > this.block.length) this.makeRoom();
      this.runByte = byte;
      this.runLength = 1;
    }
  }

  finish(): void {
    this.endRun();
    this.endBlock();
    this.bits.write(24, 0x177245);
    this.bits.write(24, 0x385090);
    this.bits.writeWord(this.streamCrc);
    this.bits.finish();
  }

  private makeRoom(): void {
    if (this.block.length >= blockSize) return this.endBlock();
    const block = new Uint8Array(this.block.length * 4);
    block.set(this.block);
    this.block = block;
  }

  private endRun(): void {
    if (this.runLength === 0) return;
    for (let i = 0; i < this.runLength; i++) {
      this.crc = (this.crc << 8) ^ crcTable[(this.crc >>> 24) ^ this.runByte]!;
      if (i < 4) this.block[this.length++] = this.runByte;
    }
    if (this.runLength >= 4) this.block[this.length++] = this.runLength - 4;
    this.runLength = 0;
  }

  private endBlock(): void {
    if (this.length === 0) return;
    const crc = ~this.crc;
    this.streamCrc = ((this.streamCrc << 1) | (this.streamCrc >>> 31)) ^ crc;
    this.bits.write(24, 0x314159);
    this.bits.write(24, 0x265359);
    this.bits.writeWord(crc);
    this.bits.write(1, 0);
    writeBlock(this.bits, this.block.subarray(0, this.length));
    this.length = 0;
    this.crc = -1;
    this.runByte = -1;
  }
}

const crcTable = new Int32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  crcTable[byte] = crc;
}

function writeBlock(bits: BitWriter, block: Uint8Array): void {
  const length = block.length;
  const order = rotationOrder(block);
  const last = new Uint8Array(length);
  for (let row = 0; row < length; row++) {
    const start = order[row]!;
    if (start === 0) bits.write(24, row);
    last[row] = block[start === 0 ? length - 1 : start - 1]!;
  }
  const used = usedBytes(block);
  writeUsedBytes(bits, used);
  const symbols = moveToFront(last, used);
  const alphabet = used.length + 2;
  const groups =
    symbols.length < 200 ? 2 : symbols.length < 600 ? 3 : symbols.length < 1200 ? 4 : symbols.length < 2400 ? 5 : 6;
  const { tables, selectors } = chooseTables(symbols, alphabet, groups);
  bits.write(3, groups);
  bits.write(15, selectors.length);
  writeSelectors(bits, selectors, groups);
  for (const table of tables) writeTable(bits, table);
  const codes = tables.map(canonicalCodes);
  selectors.forEach((selector, group) => {
    const [table, code] = [tables[selector]!, codes[selector]!];
    const end = Math.min(symbols.length, (group + 1) * groupSize);
    for (let i = group * groupSize; i < end; i++) bits.write(table[symbols[i]!]!, code[symbols[i]!]!);
  });
}

function usedBytes(block: Uint8Array): number[] {
  const seen = new Uint8Array(256);
  for (const byte of block) seen[byte] = 1;
  return Array.from(seen.keys()).filter((byte) => seen[byte] === 1);
}

function writeUsedBytes(bits: BitWriter, used: readonly number[]): void {
  const rows = new Uint16Array(16);
  for (const byte of used) rows[byte >> 4]! |= 0x8000 >> (byte & 15);
  bits.write(
    16,
    rows.reduce((all, row, i) => (row === 0 ? all : all | (0x8000 >> i)), 0),
  );
  for (const row of rows) if (row !== 0) bits.write(16, row);
}

/** Symbols 0 and 1 are the digits of runs; the last one ends the block. */
function moveToFront(last: Uint8Array, used: readonly number[]): Uint16Array {
  const list = Uint8Array.from(used);
  const symbols = new Uint16Array(last.length + 1);
  let count = 0;
  let run = 0;
  const endRun = () => {
    for (; run > 0; run = (run - 1) >> 1) symbols[count++] = run & 1 ? 0 : 1;
  };
  for (let i = 0; i < last.length; i++) {
    const byte = last[i]!;
    if (list[0] === byte) {
      run++;
      continue;
    }
    endRun();
    let place = 1;
    while (list[place] !== byte) place++;
    list.copyWithin(1, 0, place);
    list[0] = byte;
    symbols[count++] = place + 1;
  }
  endRun();
  symbols[count++] = used.length + 1;
  return symbols.subarray(0, count);
}

/** Begins with tables for equal shares of the alphabet by frequency, and lets groups and tables find each other. */
function chooseTables(
  symbols: Uint16Array,
  alphabet: number,
  groups: number,
): { tables: Uint8Array[]; selectors: Uint8Array } {
  const selectors = new Uint8Array(Math.ceil(symbols.length / groupSize));
  const total = new Int32Array(alphabet);
  for (const symbol of symbols) total[symbol]!++;
  let tables: Uint8Array[] = [];
  let from = 0;
  let left = symbols.length;
  for (let group = 0; group < groups; group++) {
    const share = left / (groups - group);
    let to = from;
    let taken = 0;
    while (to < alphabet && (taken < share || group === groups - 1)) taken += total[to++]!;
    const [begin, end] = [from, to];
    tables.push(Uint8Array.from({ length: alphabet }, (_, symbol) => (symbol >= begin && symbol < end ? 1 : 15)));
    from = to;
    left -= taken;
  }
  for (let round = 0; round < 4; round++) {
    const frequencies = tables.map(() => new Int32Array(alphabet));
    for (let group = 0; group < selectors.length; group++) {
      const start = group * groupSize;
      const end = Math.min(symbols.length, start + groupSize);
      let best = 0;
      let bestCost = Number.POSITIVE_INFINITY;
      for (let t = 0; t < groups; t++) {
        const table = tables[t]!;
        let cost = 0;
        for (let i = start; i < end; i++) cost += table[symbols[i]!]!;
        if (cost < bestCost) [best, bestCost] = [t, cost];
      }
      selectors[group] = best;
      for (let i = start; i < end; i++) frequencies[best]![symbols[i]!]!++;
    }
    tables = frequencies.map((counts) => codeLengths(counts, maxCodeLength));
  }
  return { tables, selectors };
}

/** Places in a move-to-front list, in unary. */
function writeSelectors(bits: BitWriter, selectors: Uint8Array, groups: number): void {
  const list = Array.from({ length: groups }, (_, i) => i);
  for (const selector of selectors) {
    const place = list.indexOf(selector);
    list.splice(place, 1);
    list.unshift(selector);
    for (let i = 0; i < place; i++) bits.write(1, 1);
    bits.write(1, 0);
  }
}

/** Each length as the difference to the one before. */
function writeTable(bits: BitWriter, lengths: Uint8Array): void {
  let current = lengths[0]!;
  bits.write(5, current);
  for (const length of lengths) {
    for (; current < length; current++) bits.write(2, 0b10);
    for (; current > length; current--) bits.write(2, 0b11);
    bits.write(1, 0);
  }
}

/** Most significant bit first. */
class BitWriter {
  private readonly buffer = new Uint8Array(1024);
  private length = 0;
  private pending = 0;
  private pendingBits = 0;

  constructor(private readonly onBytes: (chunk: Uint8Array) => void) {}

  /** At most 24 bits. */
  write(count: number, value: number): void {
    this.pending = (this.pending << count) | value;
    this.pendingBits += count;
    while (this.pendingBits >= 8) {
      this.pendingBits -= 8;
      this.byte((this.pending >>> this.pendingBits) & 0xff);
    }
    this.pending &= 0xff >> (8 - this.pendingBits);
  }

  writeWord(value: number): void {
    this.write(16, value >>> 16);
    this.write(16, value & 0xffff);
  }

  finish(): void {
    if (this.pendingBits > 0) this.write(8 - this.pendingBits, 0);
    this.onBytes(this.buffer.slice(0, this.length));
    this.length = 0;
  }

  private byte(value: number): void {
    if (this.length === this.buffer.length) {
      this.onBytes(this.buffer.slice());
      this.length = 0;
    }
    this.buffer[this.length++] = value;
  }
}
