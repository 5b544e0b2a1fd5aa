/**
 * Finds hash parts (32 nix32 characters) in bytes: what reference scanning and hash rewriting share.
 *
 * The search looks at the last byte of a window of 32 first. When it is not in the alphabet, no window with it matches
 * and the next window begins behind it: binary data is mostly skipped 32 bytes at a time. Where all 32 are in the
 * alphabet, the last 15 or 20 bits of the window rule out nearly all that is not sought, before a string is made to ask the map.
 */
import { base32Alphabet } from "./base32.ts";
import { hashPartLength } from "./store-path.ts";

/** The value of a byte as a nix32 digit, 255 when it is none. */
const digits = new Uint8Array(256).fill(255);
for (let i = 0; i < 32; i++) digits[base32Alphabet.charCodeAt(i)] = i;

/** What is sought. */
export interface HashPartFilter {
  /** A bit for every few digits: 1 where something sought ends in them. */
  readonly endings: Uint8Array;
  /** How many digits choose a bit. */
  readonly endingLength: number;
  readonly has: (hashPart: string) => boolean;
}

/** Up to so many are told apart well enough by three digits, and 4 KiB are sooner filled with zeros than 128. */
const maxForShortEndings = 256;

/** Something that is no hash part is a mistake of ours. What leaves `sought` later is no longer found. */
export function createHashPartFilter(sought: ReadonlySet<string> | ReadonlyMap<string, unknown>): HashPartFilter {
  const endingLength = sought.size <= maxForShortEndings ? 3 : 4;
  const endings = new Uint8Array((1 << (5 * endingLength)) / 8);
  for (const hashPart of sought.keys()) {
    const bytes = Buffer.from(hashPart, "latin1");
    if (bytes.length !== hashPartLength || openTail(bytes) < hashPartLength - 1 || digits[bytes[0]!]! > 31) {
      throw new Error(`not a hash part: ${JSON.stringify(hashPart)}`);
    }
    const ending = endingOf(bytes, hashPartLength, endingLength);
    endings[ending >> 3]! |= 1 << (ending & 7);
  }
  return { endings, endingLength, has: (hashPart) => sought.has(hashPart) };
}

/** Where the first of the sought hash parts begins that lies wholly in `bytes` from `from` on, or -1. */
export function findHashPart(bytes: Buffer, from: number, filter: HashPartFilter): number {
  const { endings, endingLength } = filter;
  const endingMask = (1 << (5 * endingLength)) - 1;
  let end = from + hashPartLength; // of the window
  let known = from; // no byte before this one, and in the window, is other than a digit
  while (end <= bytes.length) {
    let at = end - 1;
    while (at >= known && digits[bytes[at]!]! < 32) at--;
    if (at >= known) {
      known = end;
      end = at + 1 + hashPartLength;
      continue;
    }
    // All are digits. Go on one byte at a time for as long as that stays so.
    let ending = endingOf(bytes, end, endingLength);
    for (;;) {
      if (((endings[ending >> 3]! >> (ending & 7)) & 1) === 1) {
        const start = end - hashPartLength;
        if (filter.has(bytes.toString("latin1", start, end))) return start;
      }
      if (end === bytes.length) return -1;
      const digit = digits[bytes[end]!]!;
      end++;
      if (digit > 31) break;
      ending = ((ending << 5) | digit) & endingMask;
    }
    known = end;
    end += hashPartLength;
  }
  return -1;
}

/** How many of the last bytes are digits, at most 31: what a hash part that continues behind them may begin with. */
export function openTail(bytes: Uint8Array): number {
  const most = Math.min(bytes.length, hashPartLength - 1);
  let length = 0;
  while (length < most && digits[bytes[bytes.length - 1 - length]!]! < 32) length++;
  return length;
}

/** The last digits before `end`, as a number. */
function endingOf(bytes: Uint8Array, end: number, endingLength: number): number {
  let ending = 0;
  for (let i = end - endingLength; i < end; i++) ending = (ending << 5) | digits[bytes[i]!]!;
  return ending;
}
