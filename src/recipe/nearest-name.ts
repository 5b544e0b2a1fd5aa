/** "Did you mean …?" */
import { editDistance } from "../formats/edit-distance.ts";

/** ` (did you mean 'x'?)` when one of `names` is close to what was written, else nothing. */
export function nearestName(written: string, names: Iterable<string>): string {
  let best: string | undefined;
  let bestDistance = 1 + Math.max(1, Math.floor(written.length / 3));
  for (const name of names) {
    const distance = editDistance(written.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return best === undefined ? "" : ` (did you mean '${best}'?)`;
}
