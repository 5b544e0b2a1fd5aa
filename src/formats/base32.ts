/**
 * Nix's base32 ("nix32"): the digest read as a little-endian number, printed most significant digit first in an alphabet
 * without e, o, t and u. `ceil(bits / 5)` characters. Not RFC 4648.
 */
export const base32Alphabet = "0123456789abcdfghijklmnpqrsvwxyz";

const digitByCode = new Int8Array(128).fill(-1);
for (let i = 0; i < 32; i++) digitByCode[base32Alphabet.charCodeAt(i)] = i;

/** Characters that `bytes` bytes take. */
export function base32Length(bytes: number): number {
  return Math.ceil((bytes * 8) / 5);
}

export function encodeBase32(bytes: Uint8Array): string {
  let text = "";
  for (let n = base32Length(bytes.length) - 1; n >= 0; n--) {
    const i = (n * 5) >> 3;
    const j = (n * 5) & 7;
    text += base32Alphabet[((bytes[i]! >> j) | ((bytes[i + 1] ?? 0) << (8 - j))) & 31];
  }
  return text;
}

/** The `size` bytes that `text` stands for, or undefined when the length, a character or an excess bit is wrong. */
export function decodeBase32(text: string, size: number): Uint8Array | undefined {
  const length = base32Length(size);
  if (text.length !== length) return undefined;
  const bytes = new Uint8Array(size);
  for (let n = 0; n < length; n++) {
    const code = text.charCodeAt(length - 1 - n);
    const digit = code < 128 ? digitByCode[code]! : -1;
    if (digit < 0) return undefined;
    const i = (n * 5) >> 3;
    const j = (n * 5) & 7;
    bytes[i]! |= digit << j;
    const carry = digit >> (8 - j);
    if (i + 1 < size) bytes[i + 1]! |= carry;
    else if (carry !== 0) return undefined;
  }
  return bytes;
}
