/**
 * The names of all valid paths in one block of bytes, with a hash table over it: a million strings in a Map would take several
 * times the memory and the time. A name's number says when it was added: names come in the order of the database's ids.
 */
import { decodeBytes } from "../../formats/byte-string.ts";
import type { TextBlock } from "./row-block.ts";

export interface NameTable {
  /** Appends names that are not in the table. @param prefix bytes before each name that are no part of it */
  add(block: TextBlock, prefix: number): void;
  /** The base name. */
  name(index: number): string;
  /** The number of the name in these bytes, or -1. */
  find(source: Uint8Array, start: number, end: number): number;
  findName(name: string): number;
  /** Below 0 when the first name comes before the second, byte by byte. */
  compare(a: number, b: number): number;
  /** A byte of a name, or -1 behind its end. */
  byteAt(index: number, position: number): number;
}

/** The kernel gives memory when it is touched: room for long names costs nothing. */
const usualLength = 80;

/** @param capacity how many names will be added, at most */
export function nameTable(capacity: number): NameTable {
  let bytes = new Uint8Array(Math.max(1024, capacity * usualLength));
  /** Where each name begins, and where the last one ends. */
  const starts = new Uint32Array(capacity + 1);
  let count = 0;
  let size = 16;
  while (size < capacity * 2) size *= 2;
  const mask = size - 1;
  /** Two numbers a slot, so that both are near: the number of the name plus one, where 0 is free, and the name's hash. */
  const slots = new Int32Array(size * 2);

  function equals(index: number, source: Uint8Array, start: number, end: number): boolean {
    const from = starts[index]!;
    const length = end - start;
    if (starts[index + 1]! - from !== length) return false;
    for (let i = 0; i < length; i++) if (bytes[from + i] !== source[start + i]) return false;
    return true;
  }

  function find(source: Uint8Array, start: number, end: number): number {
    const hash = hashName(source, start, end);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const found = slots[2 * slot]! - 1;
      if (found < 0 || (slots[2 * slot + 1] === hash && equals(found, source, start, end))) return found;
    }
  }

  function reserve(needed: number): void {
    if (needed <= bytes.length) return;
    const larger = new Uint8Array(Math.ceil(needed * 1.4));
    larger.set(bytes);
    bytes = larger;
  }

  function insert(hash: number): void {
    let slot = hash & mask;
    while (slots[2 * slot] !== 0) slot = (slot + 1) & mask;
    slots[2 * slot] = ++count;
    slots[2 * slot + 1] = hash;
  }

  return {
    add({ bytes: source, ends }, prefix) {
      let used = starts[count]!;
      reserve(used + source.length);
      let at = 0;
      for (let i = 0; i < ends.length; i++) {
        const start = used;
        const end = ends[i]!;
        for (at += prefix; at < end; at++) bytes[used++] = source[at]!;
        at = end + 1;
        starts[count + 1] = used;
        insert(hashName(bytes, start, used));
      }
    },
    name: (index) => decodeBytes(bytes.subarray(starts[index]!, starts[index + 1]!)),
    find,
    findName(name) {
      const source = Buffer.from(name, "latin1");
      return find(source, 0, source.length);
    },
    compare(a, b) {
      let i = starts[a]!;
      let j = starts[b]!;
      const iEnd = starts[a + 1]!;
      const jEnd = starts[b + 1]!;
      for (; i < iEnd && j < jEnd; i++, j++) if (bytes[i] !== bytes[j]) return bytes[i]! - bytes[j]!;
      return iEnd - i - (jEnd - j);
    },
    byteAt(index, position) {
      const at = starts[index]! + position;
      return at < starts[index + 1]! ? bytes[at]! : -1;
    },
  };
}

const prime = 0x01000193;

/** FNV-1a of four bytes at a time, with the high bits brought down after each. */
function hashName(source: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const word = source[i]! | (source[i + 1]! << 8) | (source[i + 2]! << 16) | (source[i + 3]! << 24);
    hash = Math.imul(hash ^ word, prime);
    hash ^= hash >>> 15;
  }
  for (; i < end; i++) hash = Math.imul(hash ^ source[i]!, prime);
  return hash ^ (hash >>> 15);
}
