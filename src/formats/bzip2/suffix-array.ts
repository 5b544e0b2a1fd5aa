/**
 * Suffix arrays in linear time by induced sorting (SA-IS; Nong, Zhang, Chan 2009), for the Burrows-Wheeler transform of
 * {@link rotationOrder}. No input is slow, be it one byte a million times.
 */

/** Where the suffixes of `text` begin, in ascending order; a prefix comes before what continues it. */
export function suffixArray(text: Uint8Array): Int32Array {
  return induce(Int32Array.from(text), 256);
}

/**
 * Where the rotations of `text` begin, in ascending order. The least rotation is a Lyndon word or a power of one, and of
 * such a word suffixes and rotations have the same order.
 */
export function rotationOrder(text: Uint8Array): Int32Array {
  const length = text.length;
  const shift = leastRotation(text);
  const rotated = new Uint8Array(length);
  rotated.set(text.subarray(shift));
  rotated.set(text.subarray(0, shift), length - shift);
  const order = suffixArray(rotated);
  for (let i = 0; i < length; i++) {
    const start = order[i]! + shift;
    order[i] = start < length ? start : start - length;
  }
  return order;
}

/** Where the least rotation begins. */
function leastRotation(text: Uint8Array): number {
  const length = text.length;
  let best = 0;
  let candidate = 1;
  let matched = 0;
  while (best < length && candidate < length && matched < length) {
    const a = text[(best + matched) % length]!;
    const b = text[(candidate + matched) % length]!;
    if (a === b) {
      matched++;
      continue;
    }
    if (a > b) best += matched + 1;
    else candidate += matched + 1;
    if (best === candidate) candidate++;
    matched = 0;
  }
  return Math.min(best, candidate);
}

/** Symbols are below `alphabet`. */
function induce(text: Int32Array, alphabet: number): Int32Array {
  const length = text.length;
  const order = new Int32Array(length);
  if (length < 2) return order;

  // Type S: smaller than the next suffix. A leftmost S is where sorting begins.
  const isS = new Uint8Array(length);
  for (let i = length - 2; i >= 0; i--) {
    const [here, next] = [text[i]!, text[i + 1]!];
    isS[i] = here === next ? isS[i + 1]! : here < next ? 1 : 0;
  }
  const bucketStart = new Int32Array(alphabet + 1);
  const bucketS = new Int32Array(alphabet + 1);
  for (let i = 0; i < length; i++) {
    if (isS[i]) bucketStart[text[i]! + 1]!++;
    else bucketS[text[i]!]!++;
  }
  // bucketStart[c]: where c's bucket begins; bucketS[c]: where its S part begins.
  for (let c = 0; c < alphabet; c++) {
    bucketS[c]! += bucketStart[c]!;
    bucketStart[c + 1]! += bucketS[c]!;
  }

  const at = new Int32Array(alphabet + 1);
  function place(leftmost: Int32Array, count: number): void {
    order.fill(-1);
    at.set(bucketS);
    for (let k = 0; k < count; k++) {
      const i = leftmost[k]!;
      if (i !== length) order[at[text[i]!]!++] = i;
    }
    at.set(bucketStart);
    order[at[text[length - 1]!]!++] = length - 1;
    for (let k = 0; k < length; k++) {
      const i = order[k]! - 1;
      if (i >= 0 && isS[i] === 0) order[at[text[i]!]!++] = i;
    }
    at.set(bucketStart);
    for (let k = length - 1; k >= 0; k--) {
      const i = order[k]! - 1;
      if (i >= 0 && isS[i] === 1) order[--at[text[i]! + 1]!] = i;
    }
  }

  const number = new Int32Array(length + 1).fill(-1);
  let count = 0;
  for (let i = 1; i < length; i++) if (isS[i - 1] === 0 && isS[i] === 1) number[i] = count++;
  const leftmost = new Int32Array(count);
  for (let i = 1; i < length; i++) if (number[i]! >= 0) leftmost[number[i]!] = i;
  place(leftmost, count);
  if (count === 0) return order;

  const sorted = new Int32Array(count);
  let filled = 0;
  for (let k = 0; k < length; k++) if (number[order[k]!]! >= 0) sorted[filled++] = order[k]!;
  const reduced = new Int32Array(count);
  let names = 0;
  for (let k = 1; k < count; k++) {
    if (!sameSubstring(text, isS, leftmost, number, count, sorted[k - 1]!, sorted[k]!)) names++;
    reduced[number[sorted[k]!]!] = names;
  }
  const reducedOrder = induce(reduced, names + 1);
  for (let k = 0; k < count; k++) sorted[k] = leftmost[reducedOrder[k]!]!;
  place(sorted, count);
  return order;
}

/** Are the stretches from these two leftmost S to the next ones equal? */
function sameSubstring(
  text: Int32Array,
  isS: Uint8Array,
  leftmost: Int32Array,
  number: Int32Array,
  count: number,
  left: number,
  right: number,
): boolean {
  const endOf = (start: number) => (number[start]! + 1 < count ? leftmost[number[start]! + 1]! : text.length);
  const leftEnd = endOf(left);
  const rightEnd = endOf(right);
  if (leftEnd - left !== rightEnd - right) return false;
  let [i, j] = [left, right];
  while (i < leftEnd) {
    if (text[i] !== text[j]) return false;
    i++;
    j++;
  }
  return i < text.length && j < text.length && text[i] === text[j] && isS[i] === isS[j];
}
