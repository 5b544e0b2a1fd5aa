/** A machine that is nobody's, for defaults that depend on one. */
import { type ByteString, fromText } from "../../src/formats/byte-string.ts";
import type { Facts } from "../../src/formats/settings/facts.ts";
import { type Assignment, defaultSettings, type Settings, withSettings } from "../../src/formats/settings/settings.ts";
import { fromCommandLine, type SettingSource } from "../../src/formats/settings/source.ts";

export const testFacts: Facts = {
  cpuCount: 12,
  system: "x86_64-linux",
  cpuLevels: ["x86_64-v1", "x86_64-v2"],
  isLinux: true,
  isWsl1: false,
  isRoot: false,
  hasBuildGroup: false,
  hasKvm: true,
  confDir: fromText("/etc/nix"),
  remote: undefined,
  remoteSystems: undefined,
  ignoresSymlinkedStore: false,
  certificateFile: fromText("/etc/certificates"),
};

/** Settings from pairs of name and value, one after the other. */
export function settingsOf(
  pairs: readonly (readonly [name: string, value: string])[],
  facts: Facts = testFacts,
  source: SettingSource = fromCommandLine,
): Settings {
  return withSettings(defaultSettings(facts), assignmentsOf(pairs, source));
}

export function assignmentsOf(
  pairs: readonly (readonly [name: string, value: string])[],
  source: SettingSource = fromCommandLine,
): Assignment[] {
  return pairs.map(([name, value]) => ({ name: fromText(name), value: fromText(value), source }));
}

export function bytes(...texts: string[]): ByteString[] {
  return texts.map(fromText);
}
