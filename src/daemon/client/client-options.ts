/** What a daemon is told of our settings. */
import type { Settings } from "../../formats/settings/settings.ts";
import { settingsForDaemon } from "../../formats/settings/client-settings.ts";
import { fromText } from "../../formats/byte-string.ts";
import { findSetting, specOf } from "../../formats/settings/table.ts";
import { type ClientOptions, levelForDaemon } from "../../formats/worker-protocol/set-options.ts";

/** Settings have today's names since then. */
const firstWithNewNames = 20;
/** More than any level. */
const noOutput = 7;
const maxInt = 0xffff_ffff;

export function clientOptionsFrom(
  settings: Settings,
  minor: number,
  { verbosity, builderOutput }: { readonly verbosity: number; readonly builderOutput: "lines" | "results" },
): ClientOptions {
  return {
    keepFailed: settings.get("keep-failed"),
    keepGoing: settings.get("keep-going"),
    tryFallback: settings.get("fallback"),
    verbosity: levelForDaemon(minor, verbosity),
    maxBuildJobs: settings.get("max-jobs"),
    maxSilentTimeSec: Math.min(maxInt, Math.max(0, settings.get("max-silent-time"))),
    useBuildHook: settings.get("builders").trim() !== "",
    buildVerbosity: builderOutput === "lines" ? 0 : noOutput,
    logType: 0,
    printBuildTrace: 0,
    buildCores: settings.get("cores"),
    useSubstitutes: settings.get("substitute"),
    overrides: settingsForDaemon(settings).map(([name, text]) => [fromText(nameFor(minor, name)), text]),
  };
}

function nameFor(minor: number, name: string): string {
  const setting = findSetting(name);
  if (minor >= firstWithNewNames || setting === undefined) return name;
  return specOf(setting).oldName ?? name;
}
