/**
 * The one table of settings: names are those of Nix 2.8, defaults, too; 1.7's names are aliases. Reading nix.conf, the
 * environment, flags, a daemon's clients, `config show` and documentation all go by it.
 */
import { buildSettings } from "./build-settings.ts";
import { evaluatorSettings } from "./evaluator-settings.ts";
import { oldSettings } from "./old-settings.ts";
import { sandboxSettings } from "./sandbox-settings.ts";
import type { Spec } from "./spec.ts";
import { storeSettings } from "./store-settings.ts";
import { substitutionSettings } from "./substitution-settings.ts";

/** By the part of the program that goes by them. Made when first looked at: most programs look at few, or none. */
const makers = {
  store: storeSettings,
  build: buildSettings,
  sandbox: sandboxSettings,
  substitution: substitutionSettings,
  evaluator: evaluatorSettings,
  "nix-1.7": oldSettings,
} as const;

export type SettingGroup = keyof typeof makers;
export const settingGroups = Object.keys(makers) as readonly SettingGroup[];

type Table = ReturnType<typeof storeSettings> &
  ReturnType<typeof buildSettings> &
  ReturnType<typeof sandboxSettings> &
  ReturnType<typeof substitutionSettings> &
  ReturnType<typeof evaluatorSettings> &
  ReturnType<typeof oldSettings>;
export type SettingName = keyof Table;
export type SettingValue<N extends SettingName> = Table[N] extends Spec<infer T> ? T : never;

const made = new Map<SettingGroup, Partial<Table>>();

export function specOf<N extends SettingName>(name: N): Spec<SettingValue<N>> {
  return tableOf(groupOf(name))[name] as Spec<SettingValue<N>>;
}

export function groupOf(name: SettingName): SettingGroup {
  const group = findGroup(name);
  if (group === undefined) throw new Error(`no setting ${JSON.stringify(name)}`);
  return group;
}

/** All names, sorted. */
export function settingNames(): SettingName[] {
  return settingGroups.flatMap((group) => Object.keys(tableOf(group)) as SettingName[]).sort();
}

/** All other names of a setting, sorted. */
export function aliasesOf(name: SettingName): string[] {
  const { oldName, aliases = [] } = specOf(name);
  return oldName === undefined ? [...aliases] : [oldName, ...aliases].sort();
}

let nameByAlias: Map<string, SettingName> | undefined;

/** The setting that goes by this name, new or old. */
export function findSetting(name: string): SettingName | undefined {
  if (findGroup(name) !== undefined) return name as SettingName;
  nameByAlias ??= new Map(settingNames().flatMap((own) => aliasesOf(own).map((alias) => [alias, own])));
  return nameByAlias.get(name);
}

function tableOf(group: SettingGroup): Partial<Table> {
  const before = made.get(group);
  if (before !== undefined) return before;
  const table = makers[group]();
  made.set(group, table);
  return table;
}

function findGroup(name: string): SettingGroup | undefined {
  for (const group of settingGroups) if (Object.hasOwn(tableOf(group), name)) return group;
  return undefined;
}
