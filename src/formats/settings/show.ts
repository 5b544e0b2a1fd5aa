/** Settings as `nix show-config` prints them, as text and as JSON. */
import { defaultText, type Settings, settingText } from "./settings.ts";
import { aliasesOf, groupOf, type SettingName, settingNames, specOf } from "./table.ts";

/** Lines of `NAME = VALUE`, sorted; byte strings. What only 1.7 knows is left out unless it is set. */
export function printSettings(settings: Settings): string {
  return shownNames(settings)
    .map((name) => `${name} = ${settingText(settings, name)}\n`)
    .join("");
}

/**
 * An object of `{aliases, defaultValue, description, documentDefault, value}` by name, as text and not as a value,
 * because some integers have more digits than a number holds.
 */
export function printSettingsJson(settings: Settings): string {
  const members = shownNames(settings).map((name) => {
    const { kind, help, defaultHelp } = specOf(name);
    return [
      `${JSON.stringify(name)}:{"aliases":${JSON.stringify(aliasesOf(name))}`,
      `"defaultValue":${kind.printJson(defaultText(settings.facts, name))}`,
      `"description":${JSON.stringify(help)}`,
      `"documentDefault":${defaultHelp === undefined}`,
      `"value":${kind.printJson(settingText(settings, name))}}`,
    ].join(",");
  });
  return `{${members.join(",")}}`;
}

function shownNames(settings: Settings): SettingName[] {
  return settingNames().filter((name) => groupOf(name) !== "nix-1.7" || settings.assigned.has(name));
}
