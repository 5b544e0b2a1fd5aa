/**
 * Settings: a value that is passed down, never a global. It holds what was set, by whom and where; defaults are worked
 * out when they are asked for. Setting something makes a new value.
 *
 * Names resolve as in Nix: a name or alias of the table replaces, `extra-NAME` adds to a list or set (unless a setting is
 * literally called so), `untrusted-NAME` is how 1.7 keeps what an untrusted client asked for, and what nobody knows is
 * kept as it is, since 1.7's helper programs are handed all settings.
 */
import { SiloError } from "../../error.ts";
import { type ByteString, toText } from "../byte-string.ts";
import type { Facts } from "./facts.ts";
import { isOverride, printSource, type SettingSource } from "./source.ts";
import { findSetting, type SettingName, type SettingValue, settingNames, specOf } from "./table.ts";

export interface Settings {
  readonly facts: Facts;
  /** What was set, in canonical text; defaults are not in here. */
  readonly assigned: ReadonlyMap<SettingName, AssignedSetting>;
  /** What was set under names that are not in the table, verbatim; the last of a name counts. */
  readonly unknown: ReadonlyMap<ByteString, AssignedSetting>;
  get<N extends SettingName>(name: N): SettingValue<N>;
}

export interface AssignedSetting {
  readonly text: ByteString;
  readonly source: SettingSource;
}

/** Something that somebody wants set. */
export interface Assignment {
  readonly name: ByteString;
  readonly value: ByteString;
  readonly source: SettingSource;
}

export class BadSetting extends SiloError {
  readonly code = "bad-setting";
  constructor(
    readonly setting: string,
    readonly value: string,
    readonly expected: string,
    readonly source: SettingSource,
  ) {
    const shown = value.length > 200 ? `${value.slice(0, 200)}…` : value;
    super(
      `Cannot set ${JSON.stringify(toText(setting))} to ${JSON.stringify(toText(shown))} ${printSource(source)}: expected ${expected}`,
    );
  }
}

/** Nothing set: every value is the default. */
export function defaultSettings(facts: Facts): Settings {
  return makeSettings(facts, new Map(), new Map());
}

/**
 * Sets one after the other.
 * @param onBad what to do about a value that does not fit its setting, before going on; throws it unless given
 * @throws BadSetting
 */
export function withSettings(
  settings: Settings,
  assignments: Iterable<Assignment>,
  onBad: (error: BadSetting) => void = fail,
): Settings {
  const { facts } = settings;
  const assigned = new Map(settings.assigned);
  const unknown = new Map(settings.unknown);
  const added = new Map<SettingName, { words: string[]; source: SettingSource }>(); // joined once: many lines may add to one
  for (const { name, value, source } of assignments) {
    const target = resolveName(name);
    if (target === undefined) {
      unknown.set(name, { text: value, source });
    } else if (target.mode === "append") {
      const words = added.get(target.setting)?.words ?? [];
      words.push(value);
      added.set(target.setting, { words, source });
    } else {
      const { kind } = specOf(target.setting);
      const text = kind.normalise(value, facts);
      if (text === undefined) {
        onBad(new BadSetting(name, value, kind.expected, source));
        continue;
      }
      assigned.set(target.setting, { text, source });
      added.delete(target.setting);
    }
  }
  for (const [setting, { words, source }] of added) {
    const before = assigned.get(setting)?.text ?? defaultText(facts, setting);
    const text = specOf(setting).kind.normalise(`${before} ${words.join(" ")}` as ByteString, facts);
    if (text === undefined) throw new Error(`${setting} is a collection, which takes any words`);
    assigned.set(setting, { text, source });
  }
  return makeSettings(facts, assigned, unknown);
}

/** @throws BadSetting */
export function withSetting(settings: Settings, name: ByteString, value: ByteString, source: SettingSource): Settings {
  return withSettings(settings, [{ name, value, source }]);
}

/** The canonical text of a setting, set or default. */
export function settingText(settings: Settings, name: SettingName): ByteString {
  return settings.assigned.get(name)?.text ?? defaultText(settings.facts, name);
}

/** The canonical text of a default. */
export function defaultText(facts: Facts, name: SettingName): ByteString {
  const { default: initial } = specOf(name);
  return (typeof initial === "string" ? initial : initial(facts)) as ByteString;
}

/** Every setting with its canonical text, as build hooks are sent; sorted. */
export function allSettings(settings: Settings): [name: SettingName, text: ByteString][] {
  return settingNames().map((name) => [name, settingText(settings, name)]);
}

/** What the user set beyond the system's nix.conf, which a daemon has read by itself; sorted. */
export function overriddenSettings(settings: Settings): [name: SettingName, text: ByteString][] {
  const overridden = [...settings.assigned].filter(([, { source }]) => isOverride(source));
  return overridden
    .map(([name, { text }]): [SettingName, ByteString] => [name, text])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** `extra-` resolves for collections only. */
export function resolveName(name: string): { setting: SettingName; mode: "replace" | "append" } | undefined {
  const setting = findSetting(name);
  if (setting !== undefined) return { setting, mode: "replace" };
  const extended = name.startsWith("extra-") ? findSetting(name.slice("extra-".length)) : undefined;
  if (extended === undefined || specOf(extended).kind.shape === "single") return undefined;
  return { setting: extended, mode: "append" };
}

function fail(error: BadSetting): never {
  throw error;
}

function makeSettings(facts: Facts, assigned: Settings["assigned"], unknown: Settings["unknown"]): Settings {
  const values = new Map<SettingName, unknown>();
  const settings: Settings = {
    facts,
    assigned,
    unknown,
    get<N extends SettingName>(name: N): SettingValue<N> {
      if (!values.has(name)) values.set(name, specOf(name).kind.decode(settingText(settings, name)));
      return values.get(name) as SettingValue<N>;
    },
  };
  return settings;
}
