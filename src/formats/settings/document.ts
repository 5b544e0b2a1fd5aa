/** The documentation of settings, from the table. */
import type { SettingGroup, SettingName } from "./table.ts";
import { aliasesOf, groupOf, settingGroups, settingNames, specOf } from "./table.ts";

const headings: Readonly<Record<SettingGroup, string>> = {
  store: "Store",
  build: "Building",
  sandbox: "Sandbox",
  substitution: "Substitution",
  evaluator: "Evaluator of Nix (accepted, without effect here)",
  "nix-1.7": "Nix 1.7 (for its helper programs)",
};

/** A section for each part of the program and an entry for each setting. */
export function printSettingsMarkdown(): string {
  return settingGroups
    .map((group) => {
      const entries = settingNames().filter((name) => groupOf(name) === group);
      return `## ${headings[group]}\n\n${entries.map(printMarkdownEntry).join("\n")}`;
    })
    .join("\n");
}

/** For a terminal: the name with its other names, kind and default, and below it the line of help. */
export function printSettingHelp(name: SettingName): string {
  const { kind, help } = specOf(name);
  const aliases = aliasesOf(name);
  const also = aliases.length === 0 ? "" : ` (${aliases.join(", ")})`;
  return `${name}${also}: ${kind.expected}; default ${printDefault(name)}\n    ${help}\n`;
}

/** {@link printSettingHelp} of all settings, sorted. */
export function printSettingsHelp(): string {
  return settingNames().map(printSettingHelp).join("");
}

function printMarkdownEntry(name: SettingName): string {
  const { kind, help, defaultHelp } = specOf(name);
  const initial =
    defaultHelp === undefined && printDefault(name) !== "empty" ? `\`${printDefault(name)}\`` : printDefault(name);
  const also = aliasesOf(name).map((alias) => `\`${alias}\``);
  const names = also.length === 0 ? "" : ` Also: ${also.join(", ")}.`;
  return `- **\`${name}\`**: ${help}.\n  Value: ${kind.expected}. Default: ${initial}.${names}\n`;
}

function printDefault(name: SettingName): string {
  const { default: initial, defaultHelp } = specOf(name);
  if (defaultHelp !== undefined) return defaultHelp;
  return typeof initial === "string" && initial !== "" ? initial : "empty";
}
