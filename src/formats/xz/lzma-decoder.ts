/**
 * LZMA, the compression within xz: literals and matches, each bit of which is an adaptive probability's and coded by range. This is
 * the decoder of LZMA2's chunks, which say how many bytes go in and come out. See "LZMA specification" (7-zip.org/sdk.html).
 */

/** `lc` bits of the byte before and `lp` of the position choose a literal's probabilities, `pb` of the position those of the rest. */
export interface LzmaProperties {
  readonly lc: number;
  readonly lp: number;
  readonly pb: number;
}

/** Where bytes come out, and where matches find those that came before. */
export interface LzmaWindow {
  readonly bytes: Uint8Array;
  /** Where the next byte goes. */
  position: number;
  /** How many bytes before that a match may reach back. */
  readonly reach: number;
}

const initialProbability = 1024;
const sign = 0x8000_0000 | 0;

const maxPositionStates = 16;
const stateCount = 12;
/** Of a match's or repeat's length coder: two choices, then 8 short ones and 8 middle ones for each position, then 256. */
const lengthMiddle = 2 + maxPositionStates * 8;
const lengthLong = lengthMiddle + maxPositionStates * 8;
const lengthSize = lengthLong + 256;

// One table holds all probabilities but the literals'. Where each kind begins:
const isMatch = 0;
const isRepeat = isMatch + stateCount * maxPositionStates;
const isRepeat0 = isRepeat + stateCount;
const isRepeat1 = isRepeat0 + stateCount;
const isRepeat2 = isRepeat1 + stateCount;
const isRepeat0Long = isRepeat2 + stateCount;
const distanceSlot = isRepeat0Long + stateCount * maxPositionStates;
const distanceSpecial = distanceSlot + 4 * 64;
const distanceAlign = distanceSpecial + 128;
const matchLength = distanceAlign + 16;
const repeatLength = matchLength + lengthSize;
const probabilityCount = repeatLength + lengthSize;

const literalSize = 0x300;
/** lc + lp is at most 4 in LZMA2. */
const maxLiteralStates = 1 << 4;

/** A chunk that cannot be. */
export type LzmaFault = "ends early" | "reaches back too far" | "is longer than it says" | "does not end where it says";

export class LzmaDecoder {
  private readonly probabilities = new Uint16Array(probabilityCount);
  private readonly literals = new Uint16Array(literalSize * maxLiteralStates);
  private lc = 0;
  private literalPositionMask = 0;
  private positionMask = 0;
  private state = 0;
  /** The distances of the last four matches, minus one. */
  private rep0 = 0;
  private rep1 = 0;
  private rep2 = 0;
  private rep3 = 0;
  // The range coder. Both are unsigned, kept as the engine's fast signed integers.
  private range = 0;
  private code = 0;
  private input: Uint8Array = new Uint8Array(0);
  private at = 0;

  reset(properties: LzmaProperties): void {
    this.lc = properties.lc;
    this.literalPositionMask = (1 << properties.lp) - 1;
    this.positionMask = (1 << properties.pb) - 1;
    this.resetState();
  }

  resetState(): void {
    this.state = this.rep0 = this.rep1 = this.rep2 = this.rep3 = 0;
    this.probabilities.fill(initialProbability);
    this.literals.fill(initialProbability);
  }

  /**
   * Decodes one chunk, all of `input`, to `size` bytes at the window's position.
   * @param count bytes that came out since the dictionary was reset, for the position
   */
  decode(input: Uint8Array, window: LzmaWindow, size: number, count: number): LzmaFault | undefined {
    if (input.length < 5 || input[0] !== 0) return "ends early";
    this.input = input;
    this.code = (input[1]! << 24) | (input[2]! << 16) | (input[3]! << 8) | input[4]!;
    this.range = -1;
    this.at = 5;
    const { bytes } = window;
    const start = window.position;
    const end = start + size;
    let position = start;
    while (position < end) {
      const positionState = (count + position - start) & this.positionMask;
      const stateAndPosition = this.state * maxPositionStates + positionState;
      if (this.bit(this.probabilities, isMatch + stateAndPosition) === 0) {
        const before = position > start || window.reach > 0 ? bytes[position - 1]! : 0;
        bytes[position] = this.literal(bytes, position, before, count + position - start);
        position++;
        continue;
      }
      const length = this.match(positionState, stateAndPosition);
      if (length === 0) {
        if (this.rep0 >= window.reach + position - start) return "reaches back too far";
        bytes[position] = bytes[position - this.rep0 - 1]!;
        position++;
        continue;
      }
      if (this.rep0 >= window.reach + position - start) return "reaches back too far";
      if (length > end - position) return "is longer than it says";
      position = copyMatch(bytes, position, this.rep0 + 1, length);
      if (this.at > input.length) return "ends early";
    }
    window.position = position;
    this.normalise();
    if (this.at !== input.length || this.code !== 0) return "does not end where it says";
    return undefined;
  }

  private literal(bytes: Uint8Array, position: number, before: number, count: number): number {
    const { literals, state } = this;
    const base = literalSize * (((count & this.literalPositionMask) << this.lc) + (before >> (8 - this.lc)));
    let symbol = 1;
    if (state >= 7) {
      let matched = bytes[position - this.rep0 - 1]!;
      do {
        const expected = (matched >> 7) & 1;
        matched <<= 1;
        const bit = this.bit(literals, base + ((1 + expected) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (bit !== expected) break;
      } while (symbol < 0x100);
    }
    symbol = this.symbol(literals, base, symbol, 0x100);
    this.state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
    return symbol & 0xff;
  }

  /** The length of a match, whose distance is then `rep0`; 0 for a single byte from there. */
  private match(positionState: number, stateAndPosition: number): number {
    const { probabilities, state } = this;
    if (this.bit(probabilities, isRepeat + state) === 0) {
      const length = this.length(matchLength, positionState);
      this.rep3 = this.rep2;
      this.rep2 = this.rep1;
      this.rep1 = this.rep0;
      this.rep0 = this.distance(length);
      this.state = state < 7 ? 7 : 10;
      return length;
    }
    if (this.bit(probabilities, isRepeat0 + state) === 0) {
      if (this.bit(probabilities, isRepeat0Long + stateAndPosition) === 0) {
        this.state = state < 7 ? 9 : 11;
        return 0;
      }
    } else {
      let distance = this.rep1;
      if (this.bit(probabilities, isRepeat1 + state) !== 0) {
        distance = this.rep2;
        if (this.bit(probabilities, isRepeat2 + state) !== 0) {
          distance = this.rep3;
          this.rep3 = this.rep2;
        }
        this.rep2 = this.rep1;
      }
      this.rep1 = this.rep0;
      this.rep0 = distance;
    }
    this.state = state < 7 ? 8 : 11;
    return this.length(repeatLength, positionState);
  }

  private length(base: number, positionState: number): number {
    const { probabilities } = this;
    if (this.bit(probabilities, base) === 0) return 2 + this.tree(base + 2 + positionState * 8, 3);
    if (this.bit(probabilities, base + 1) === 0) return 10 + this.tree(base + lengthMiddle + positionState * 8, 3);
    return 18 + this.tree(base + lengthLong, 8);
  }

  /** Minus one; as unsigned, since 2^32 - 1 marks an end that LZMA2 does not use. */
  private distance(length: number): number {
    const slot = this.tree(distanceSlot + Math.min(length - 2, 3) * 64, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const high = (2 | (slot & 1)) << bits;
    if (slot < 14) return high + this.reverseTree(distanceSpecial + high - slot, bits);
    return ((high | (this.direct(bits - 4) << 4)) >>> 0) + this.reverseTree(distanceAlign, 4);
  }

  private tree(base: number, bits: number): number {
    const size = 1 << bits;
    return this.symbol(this.probabilities, base, 1, size) - size;
  }

  /** Appends bits to `symbol`, each by the probability that those before choose, until it reaches `limit`: most of the work. */
  private symbol(probabilities: Uint16Array, base: number, begun: number, limit: number): number {
    const { input } = this;
    let { range, code, at } = this;
    let symbol = begun;
    while (symbol < limit) {
      if ((range & 0xff00_0000) === 0) {
        range <<= 8;
        code = (code << 8) | input[at++]!;
      }
      const index = base + symbol;
      const probability = probabilities[index]!;
      const bound = Math.imul(range >>> 11, probability);
      if ((code ^ sign) < (bound ^ sign)) {
        range = bound;
        probabilities[index] = probability + ((2048 - probability) >> 5);
        symbol <<= 1;
      } else {
        range = (range - bound) | 0;
        code = (code - bound) | 0;
        probabilities[index] = probability - (probability >> 5);
        symbol = (symbol << 1) | 1;
      }
    }
    this.range = range;
    this.code = code;
    this.at = at;
    return symbol;
  }

  private reverseTree(base: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.bit(this.probabilities, base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  private direct(bits: number): number {
    let value = 0;
    for (let i = 0; i < bits; i++) {
      this.normalise();
      this.range >>>= 1;
      this.range |= 0;
      const less = (this.code ^ sign) < (this.range ^ sign);
      if (!less) this.code = (this.code - this.range) | 0;
      value = (value << 1) | (less ? 0 : 1);
    }
    return value;
  }

  private bit(probabilities: Uint16Array, index: number): 0 | 1 {
    let { range, code } = this;
    if ((range & 0xff00_0000) === 0) {
      range <<= 8;
      code = (code << 8) | this.input[this.at++]!;
    }
    const probability = probabilities[index]!;
    const bound = Math.imul(range >>> 11, probability);
    if ((code ^ sign) < (bound ^ sign)) {
      this.range = bound;
      this.code = code;
      probabilities[index] = probability + ((2048 - probability) >> 5);
      return 0;
    }
    this.range = (range - bound) | 0;
    this.code = (code - bound) | 0;
    probabilities[index] = probability - (probability >> 5);
    return 1;
  }

  private normalise(): void {
    if ((this.range & 0xff00_0000) !== 0) return;
    this.range <<= 8;
    this.code = (this.code << 8) | this.input[this.at++]!;
  }
}

/** A match may overlap what it makes. Returns the position behind it. */
function copyMatch(bytes: Uint8Array, position: number, distance: number, length: number): number {
  const end = position + length;
  if (distance >= length && length > 32) bytes.copyWithin(position, position - distance, position - distance + length);
  else for (let to = position, from = position - distance; to < end; ) bytes[to++] = bytes[from++]!;
  return end;
}
