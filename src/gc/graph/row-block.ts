/**
 * Columns of many rows as one text each, made by SQLite's aggregate functions `group_concat` and `json_group_array` and
 * cast to a blob: the fastest way for rows out of SQLite that does not depend on how the runtime binds it.
 */
import type { SqlValue } from "../../runtime/interface.ts";
import { BadDatabaseRow } from "../../store/queries.ts";

/** Each text begins behind the end of the one before and a comma. */
export interface TextBlock {
  readonly bytes: Uint8Array;
  readonly ends: Int32Array;
}

/** What `group_concat` puts between values by itself, and fastest: no path has one. */
const comma = 0x2c;
const zero = 0x30;

/** Reads blocks of `count` decimal numbers with anything else between them; what it returns is good until the next block. */
export type NumberReader = (text: SqlValue | undefined, count: number) => Float64Array;

/** The reader throws BadDatabaseRow for more or fewer numbers than that. */
export function numberReader(): NumberReader {
  let numbers = new Float64Array(1024);
  return (text, count) => {
    const bytes = bytesOf(text);
    if (count > numbers.length) numbers = new Float64Array(Math.ceil(count * 1.2));
    const found = readNumbers(bytes, numbers.subarray(0, count));
    if (found !== count) throw new BadDatabaseRow("a column of numbers", `it has ${found} of them and not ${count}`);
    return numbers.subarray(0, count);
  };
}

/** Stores as many as fit. @returns how many there are */
function readNumbers(bytes: Uint8Array, numbers: Float64Array): number {
  const { length } = bytes;
  let found = 0;
  for (let at = 0; at < length; ) {
    let digit = bytes[at++]! - zero;
    if (digit < 0 || digit > 9) continue;
    let value = digit;
    while (at < length) {
      digit = bytes[at]! - zero;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      at++;
    }
    numbers[found++] = value;
  }
  return found;
}

/** Ends of `count` texts with commas between them. @throws BadDatabaseRow when it has more or fewer */
export function textBlock(text: SqlValue | undefined, count: number): TextBlock {
  const bytes = bytesOf(text);
  const ends = new Int32Array(count);
  let found = 0;
  for (let at = bytes.indexOf(comma); at >= 0; at = bytes.indexOf(comma, at + 1)) ends[found++] = at;
  if (count > 0) ends[found++] = bytes.length;
  if (found !== count) throw new BadDatabaseRow("a column of paths", `it has ${found} of them and not ${count}`);
  return { bytes, ends };
}

function bytesOf(text: SqlValue | undefined): Uint8Array {
  if (text === null) return new Uint8Array(0);
  if (!(text instanceof Uint8Array)) throw new BadDatabaseRow("a block of rows", "SQLite did not give it as bytes");
  return text;
}
