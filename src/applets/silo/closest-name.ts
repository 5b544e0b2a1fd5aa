/** Did you mean …? */
import { editDistance } from "../../formats/edit-distance.ts";

/** The name that differs from `word` in the fewest letters, if few enough do. */
export function closestName(word: string, names: readonly string[]): string | undefined {
  const allowed = Math.max(1, Math.floor(word.length / 3));
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of names) {
    const distance = name.startsWith(word) ? 0 : editDistance(word, name);
    if (distance <= allowed && (best === undefined || distance < best.distance)) best = { name, distance };
  }
  return best?.name;
}
