/** Warnings about names that are in no table, with the name that was probably meant. */
import { editDistance } from "../edit-distance.ts";
import { toText } from "../byte-string.ts";
import type { Settings } from "./settings.ts";
import { printSource } from "./source.ts";
import { aliasesOf, findSetting, settingNames, specOf } from "./table.ts";

/** So that a file of nothing but unknown names is read as fast as another. */
const maxSuggestions = 20;

/** One line each, in the order in which they were first set. */
export function unknownSettingWarnings(settings: Settings): string[] {
  const warnings: string[] = [];
  for (const [name, { source }] of settings.unknown) {
    if (name.startsWith("untrusted-") || name.startsWith("binary-cache-public-key-")) continue; // 1.7's helpers use them
    const shown = toText(name);
    const extended = name.startsWith("extra-") ? findSetting(name.slice("extra-".length)) : undefined;
    const close = extended === undefined && warnings.length < maxSuggestions ? suggestSetting(shown) : undefined;
    const hint =
      extended !== undefined
        ? `: "${extended}" has one value, nothing can be added to it`
        : close !== undefined
          ? `, did you mean "${close}"?`
          : "";
    warnings.push(`unknown setting ${JSON.stringify(shown)} ${printSource(source)}${hint}`);
  }
  return warnings;
}

/** The name in the table that `name` is a slip of, by at most a third of its characters and at most three. */
export function suggestSetting(name: string): string | undefined {
  if (name.length > 100) return undefined;
  const wanted = name.toLowerCase().replaceAll("_", "-");
  const candidates: string[] = [];
  for (const setting of settingNames()) {
    const own = [setting, ...aliasesOf(setting)];
    candidates.push(...own);
    if (wanted.startsWith("extra-") && specOf(setting).kind.shape === "collection")
      candidates.push(...own.map((name) => `extra-${name}`));
  }
  let best: string | undefined;
  let bestDistance = Math.min(3, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - wanted.length) >= bestDistance) continue;
    const distance = editDistance(wanted, candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}
