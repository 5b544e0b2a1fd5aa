/** From a row's id to its position among all ids: ids have gaps where paths were deleted, and may be far beyond the count. */

/** @param ids ascending @returns the position of an id, or -1 */
export function rowIndex(ids: Float64Array): (id: number) => number {
  const count = ids.length;
  if (count === 0) return () => -1;
  const first = ids[0]!;
  const span = ids[count - 1]! - first + 1;
  // Buckets of `width` ids each, as many as there are ids at most four times over: an id's bucket has few of them.
  let width = 1;
  while (span / width > count * 4 + 1024) width *= 2;
  const buckets = new Int32Array(Math.ceil(span / width) + 1).fill(count);
  for (let i = count - 1; i >= 0; i--) buckets[Math.floor((ids[i]! - first) / width)] = i;
  if (width === 1) {
    return (id) => {
      const i = id >= first && id < first + span ? buckets[id - first]! : count;
      return i < count && ids[i] === id ? i : -1;
    };
  }
  return (id) => {
    if (!(id >= first && id < first + span)) return -1;
    for (let i = buckets[Math.floor((id - first) / width)]!; i < count && ids[i]! <= id; i++)
      if (ids[i] === id) return i;
    return -1;
  };
}
