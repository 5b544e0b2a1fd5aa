/**
 * The names of all valid paths in one block of bytes, with a hash table over it: a million strings in a Map would take several
 * times the memory and the time. A name's number says when it was added: names come in the order of the database's ids.
 */
import { decodeBytes } from "../../formats/byte-string.ts";
import type { TextBlock } from "./row-block.ts";

export interface NameTable {
  /** Appends names that are not in the table. */
  add(block: TextBlock): void;
  /** The base name. */
  name(index: number): string;
  /** The number of the name in these bytes, or -1. */
  find(source: Uint8Array, start: number, end: number): number;
  findName(name: string): number;
}

/** @param capacity how many names will be added, at most */
export function nameTable(capacity: number): NameTable {
  let bytes = new Uint8Array(Math.max(1024, capacity * 52));
  let used = 0;
  /** Two numbers a name: where it starts and ends. */
  const ranges = new Float64Array(capacity * 2);
  let count = 0;
  let size = 16;
  while (size < capacity * 2) size *= 2;
  const mask = size - 1;
  /** Number of the name plus one; 0 is free. */
  const slots = new Int32Array(size);
  /** Of the names in the slots, so that another name is seldom looked at. */
  const hashes = new Int32Array(size);

  function equals(index: number, source: Uint8Array, start: number, end: number): boolean {
    const from = ranges[2 * index]!;
    if (ranges[2 * index + 1]! - from !== end - start) return false;
    for (let i = 0; i < end - start; i++) if (bytes[from + i] !== source[start + i]) return false;
    return true;
  }

  function find(source: Uint8Array, start: number, end: number): number {
    const hash = hashName(source, start, end);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const found = slots[slot]! - 1;
      if (found < 0 || (hashes[slot] === hash && equals(found, source, start, end))) return found;
    }
  }

  return {
    add(block) {
      if (used + block.bytes.length > bytes.length) {
        const larger = new Uint8Array(Math.floor((used + block.bytes.length) * 1.4));
        larger.set(bytes.subarray(0, used));
        bytes = larger;
      }
      bytes.set(block.bytes, used);
      let start = used;
      for (let i = 0; i < block.ends.length; i++) {
        const end = used + block.ends[i]!;
        ranges[2 * count] = start;
        ranges[2 * count + 1] = end;
        const hash = hashName(bytes, start, end);
        let slot = hash & mask;
        while (slots[slot] !== 0) slot = (slot + 1) & mask;
        slots[slot] = ++count;
        hashes[slot] = hash;
        start = end + 1;
      }
      used += block.bytes.length;
    },
    name: (index) => decodeBytes(bytes.subarray(ranges[2 * index]!, ranges[2 * index + 1]!)),
    find,
    findName(name) {
      const source = Buffer.from(name, "latin1");
      return find(source, 0, source.length);
    },
  };
}

/** FNV-1a. */
function hashName(source: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ source[i]!, 0x01000193);
  return hash ^ (hash >>> 15);
}
