/** Sorting paths by name, as bytes: as numbers that hold a name's beginning, since comparing a million names takes seconds. */
import type { NameTable } from "./name-table.ts";

/**
 * The letters of store paths' hash parts have odd ranks. The even ones are for all bytes between two of them: which of those it is a rank
 * does not tell, and so what follows does not count.
 */
const ranks = new Uint8Array(256);
for (let byte = 0, rank = 0; byte < 256; byte++) {
  if ("0123456789abcdfghijklmnpqrsvwxyz".includes(String.fromCharCode(byte))) {
    ranks[byte] = rank + 1;
    rank += 2;
  } else ranks[byte] = rank;
}
/** The last rank is what comes behind `z`. */
const rankCount = 65;

/** Sorts numbers of names in place. */
export function sortByName(names: NameTable, numbers: Int32Array): void {
  const { length } = numbers;
  const radix = length + 1;
  const letters = Math.floor(Math.log(Number.MAX_SAFE_INTEGER / radix) / Math.log(rankCount));
  const keys = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    let key = 0;
    let isExact = true;
    for (let letter = 0; letter < letters; letter++) {
      const byte: number = isExact ? names.byteAt(numbers[i]!, letter) : -1;
      const rank: number = byte < 0 ? 0 : ranks[byte]!;
      isExact = (rank & 1) === 1;
      key = key * rankCount + rank;
    }
    keys[i] = key * radix + i;
  }
  keys.sort();
  const unsorted = numbers.slice();
  let groupStart = 0;
  let group = -1;
  for (let i = 0; i < length; i++) {
    const key = Math.floor(keys[i]! / radix);
    if (key !== group) {
      if (i - groupStart > 1) numbers.subarray(groupStart, i).sort(names.compare);
      groupStart = i;
      group = key;
    }
    numbers[i] = unsorted[keys[i]! - key * radix]!;
  }
  numbers.subarray(groupStart).sort(names.compare);
}
