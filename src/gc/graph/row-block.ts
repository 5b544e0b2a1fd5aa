/**
 * Columns of many rows as one text each, made by SQLite's aggregate functions `group_concat` and `json_group_array` and
 * cast to a blob: the fastest way for rows out of SQLite that does not depend on how the runtime binds it.
 */
import type { SqlValue } from "../../runtime/interface.ts";
import { BadDatabaseRow } from "../../store/queries.ts";

/** Each text begins behind the end of the one before and a newline. */
export interface TextBlock {
  readonly bytes: Uint8Array;
  readonly ends: Int32Array;
}

const newline = 0x0a;
const zero = 0x30;

/** `count` decimal numbers, anything else between them. @throws BadDatabaseRow when it has more or fewer */
export function numberBlock(text: SqlValue | undefined, count: number): Float64Array {
  const bytes = bytesOf(text);
  const { length } = bytes;
  const numbers = new Float64Array(count);
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
  if (found !== count) throw new BadDatabaseRow("a column of numbers", `it has ${found} of them and not ${count}`);
  return numbers;
}

/** Ends of `count` texts with newlines between them. @throws BadDatabaseRow when it has more or fewer */
export function textBlock(text: SqlValue | undefined, count: number): TextBlock {
  const bytes = bytesOf(text);
  const { length } = bytes;
  const ends = new Int32Array(count);
  let found = 0;
  for (let at = 0; at < length; at++) if (bytes[at] === newline) ends[found++] = at;
  if (count > 0) ends[found++] = length;
  if (found !== count) throw new BadDatabaseRow("a column of paths", `it has ${found} of them and not ${count}`);
  return { bytes, ends };
}

function bytesOf(text: SqlValue | undefined): Uint8Array {
  if (text === null) return new Uint8Array(0);
  if (!(text instanceof Uint8Array)) throw new BadDatabaseRow("a block of rows", "SQLite did not give it as bytes");
  return text;
}
