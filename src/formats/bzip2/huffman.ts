/** Lengths of prefix codes, none above a limit, and the codes that follow from them. */

/** A length of 1 to `maxLength` for every symbol; those that do not occur get one, too. */
export function codeLengths(frequencies: Int32Array, maxLength: number): Uint8Array {
  const count = frequencies.length;
  const lengths = new Uint8Array(count);
  // Flattening the frequencies shortens the longest code; with all equal it is the logarithm of the count.
  for (let flatten = 0; ; flatten++) {
    const weights = Array.from(frequencies, (frequency) => (Math.max(1, frequency) >> flatten) + 1);
    if (assignLengths(weights, lengths) <= maxLength) return lengths;
  }
}

/** Returns the longest. */
function assignLengths(weights: readonly number[], lengths: Uint8Array): number {
  const count = weights.length;
  const leaves = weights.map((_, symbol) => symbol).sort((a, b) => weights[a]! - weights[b]! || a - b);
  const weight = new Float64Array(2 * count);
  const parent = new Int32Array(2 * count);
  for (let i = 0; i < count; i++) weight[i] = weights[leaves[i]!]!;
  // Inner nodes come into being in ascending order: two queues are enough.
  let leaf = 0;
  let inner = count;
  for (let next = count; next < 2 * count - 1; next++) {
    for (let pick = 0; pick < 2; pick++) {
      const least = leaf < count && (inner >= next || weight[leaf]! <= weight[inner]!) ? leaf++ : inner++;
      weight[next]! += weight[least]!;
      parent[least] = next;
    }
  }
  const depth = new Uint8Array(2 * count);
  let longest = 0;
  for (let node = 2 * count - 3; node >= 0; node--) {
    depth[node] = depth[parent[node]!]! + 1;
    if (node < count) {
      lengths[leaves[node]!] = depth[node]!;
      longest = Math.max(longest, depth[node]!);
    }
  }
  return longest;
}

/** Canonical codes: shorter first, and by symbol where the length is the same. */
export function canonicalCodes(lengths: Uint8Array): Int32Array {
  const codes = new Int32Array(lengths.length);
  let code = 0;
  for (let length = 1; length <= 20; length++) {
    for (let symbol = 0; symbol < lengths.length; symbol++) if (lengths[symbol] === length) codes[symbol] = code++;
    code <<= 1;
  }
  return codes;
}
