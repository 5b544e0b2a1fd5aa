/** `silo config`: the settings that hold, where they come from, and what they mean. */
import { UsageError } from "../../error.ts";
import { fromText, toText } from "../../formats/byte-string.ts";
import { printSettingHelp, printSettingsHelp } from "../../formats/settings/document.ts";
import { settingText } from "../../formats/settings/settings.ts";
import { printSettings, printSettingsJson } from "../../formats/settings/show.ts";
import { printSource } from "../../formats/settings/source.ts";
import { findSetting } from "../../formats/settings/table.ts";
import { suggestSetting, unknownSettingWarnings } from "../../formats/settings/unknown-settings.ts";
import { commandApplet } from "../command-line.ts";
import { openSession } from "../session.ts";
import { commandGroup } from "./command-group.ts";

function requireSetting(name: string) {
  const setting = findSetting(name);
  if (setting !== undefined) return setting;
  const close = suggestSetting(name);
  throw new UsageError(`'${name}' is not a setting${close === undefined ? "" : `; did you mean '${close}'?`}`);
}

const show = commandApplet(
  {
    name: "silo config show",
    family: "silo",
    summary: "Print the settings that hold",
    usage: ["[--json] [NAMES…]"],
    examples: [
      { does: "Everything", command: "silo config show" },
      { does: "One value alone, for a script", command: "silo config show max-jobs" },
    ],
    options: { json: { help: "All of them as an object, with defaults and descriptions" } },
  },
  (line, io) => {
    const { settings } = openSession(line, io);
    if (line.operands.length > 0) {
      for (const name of line.operands) io.out(`${toText(settingText(settings, requireSetting(name)))}\n`);
    } else io.out(line.has("json") ? `${printSettingsJson(settings)}\n` : printSettings(settings));
    return 0;
  },
);

const check = commandApplet(
  {
    name: "silo config check",
    family: "silo",
    summary: "Read all configuration, and tell what is set where and what is wrong",
    usage: ["[--json]"],
    examples: [{ does: "After editing nix.conf", command: "silo config check" }],
    options: {
      json: { help: "Print an object with `settings`, each with `name`, `value` and `source`, and `warnings`" },
    },
  },
  (line, io) => {
    const { settings } = openSession(line, io);
    if (line.has("json")) {
      const assigned = [...settings.assigned].map(([name, { text, source }]) => ({
        name,
        value: toText(text),
        source,
      }));
      const warnings = unknownSettingWarnings(settings);
      io.out(fromText(`${JSON.stringify({ settings: assigned, warnings }, null, 2)}\n`));
      return warnings.length === 0 ? 0 : 1;
    }
    for (const [name, { text, source }] of settings.assigned) {
      io.out(fromText(`${name} = ${toText(text)}    ${printSource(source)}\n`));
    }
    const warnings = unknownSettingWarnings(settings).length;
    if (warnings === 0) io.err(`${settings.assigned.size} settings set, all of them known`);
    return warnings === 0 ? 0 : 1;
  },
);

const describe = commandApplet(
  {
    name: "silo config describe",
    family: "silo",
    summary: "Tell what settings mean",
    usage: ["[NAMES…]"],
    examples: [{ does: "One of them", command: "silo config describe sandbox" }],
    options: {},
  },
  (line, io) => {
    if (line.operands.length === 0) io.out(printSettingsHelp());
    for (const name of line.operands) io.out(printSettingHelp(requireSetting(name)));
    return 0;
  },
);

export const config = commandGroup({
  name: "silo config",
  summary: "Show, check and explain the configuration",
  commands: {
    show: { summary: show.summary, load: async () => show },
    check: { summary: check.summary, load: async () => check },
    describe: { summary: describe.summary, load: async () => describe },
  },
});
