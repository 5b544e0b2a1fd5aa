/**
 * Byte strings: file names, arguments, environment values and everything else that Nix treats as bytes.
 *
 * A byte string is a JavaScript string in which every UTF-16 unit is one byte (0 to 255). So equality, Map keys and `<`
 * are those of the bytes, nothing is lost when the bytes are not UTF-8, and the engine keeps it at one byte a
 * character. ASCII text is the same in both worlds; text that may hold more passes through {@link fromText} on its way
 * in and {@link toText} on its way to a person.
 */
declare const byteString: unique symbol;
export type ByteString = string & { readonly [byteString]: true };

/** Encodes text as UTF-8. */
export function fromText(text: string): ByteString {
  return (isAscii(text) ? text : Buffer.from(text, "utf8").toString("latin1")) as ByteString;
}

/** Decodes UTF-8 for people; what is not UTF-8 becomes U+FFFD. */
export function toText(bytes: string): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, "latin1").toString("utf8");
}

/** The string whose units are the given bytes. Copies: the buffer may be reused. */
export function decodeBytes(buffer: Uint8Array): ByteString {
  return Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength).toString("latin1") as ByteString;
}

/** The bytes of a byte string, or of ASCII text, in a fresh buffer. */
export function encodeBytes(bytes: string): Buffer {
  return Buffer.from(bytes, "latin1");
}

/** Orders by bytes, for `Array.sort`; both sides byte strings or ASCII. */
export function compareBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A loop: the first use of a regular expression costs more than most programs' strings together. */
function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
