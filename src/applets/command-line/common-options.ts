/**
 * Options that every command takes: how much is said and how. Those that set a setting (`--option`, `--store`, `-j`, …)
 * are taken out before (formats/settings/flags.ts), except within bundles such as `-qj4`, which only a full parse sees.
 */
import type { ByteString } from "../../formats/byte-string.ts";
import type { Assignment } from "../../formats/settings/settings.ts";
import { fromCommandLine } from "../../formats/settings/source.ts";
import { UsageError } from "../../error.ts";
import { messageLevels } from "../../store/reporter.ts";
import type { OptionTable } from "./option-spec.ts";

export const commonOptions = {
  help: { letter: "h", help: "Show this page" },
  version: { help: "Print the version" },
  verbose: { letter: "v", help: "Say more; up to four times" },
  quiet: { help: "Say less; up to three times" },
  debug: { help: "Say what only developers want to know" },
  "no-build-output": { letter: "Q", help: "Do not show what builders print" },
  "print-build-logs": { letter: "L", help: "Show what builders print, on terminals too" },
  "log-format": { operands: ["FORMAT"], help: "How to say it: raw, bar, bar-with-logs or internal-json" },
  "log-type": { operands: ["TYPE"], help: "Of Nix 1.7: pretty, escapes or flat; all are shown flat" },
  "print-build-trace": { help: "Of Nix 1.7: print a line for every event of a build" },
  "readonly-mode": { help: "Do not change the store" },
  "no-gc-warning": { help: "Do not warn that a result is not a root of the garbage collector" },
  "max-jobs": { letter: "j", operands: ["NUMBER"], help: "Build so many derivations at once; auto for one a CPU" },
  "keep-going": { letter: "k", help: "Go on with other builds after a failure" },
  "keep-failed": { letter: "K", help: "Keep the directories of failed builds" },
} as const satisfies OptionTable;

export type CommonOption = keyof typeof commonOptions;

export const logFormats = ["raw", "raw-with-logs", "bar", "bar-with-logs", "internal-json"] as const;
export type LogFormat = (typeof logFormats)[number];

/** Those of {@link commonOptions} that were given, understood. */
export interface CommonFlags {
  /** How many of `messageLevels` are shown, less one: 3 (info) unless told otherwise. */
  readonly verbosity: number;
  readonly buildOutput: "shown" | "hidden";
  /** Wanted even where only their last lines would be shown. */
  readonly buildLogs: "wanted" | "as-usual";
  readonly buildTrace: "printed" | "not-printed";
  /** Undefined when it was not given: then it depends on where messages go. */
  readonly logFormat: LogFormat | undefined;
  readonly access: "read-write" | "read-only";
  readonly gcWarning: "warn" | "no-warning";
  /** Settings from the command line, in order. */
  readonly assignments: readonly Assignment[];
}

type Given = ReadonlyMap<string, readonly ByteString[]>;

/** @param countOf how often a flag was given @throws UsageError */
export function readCommonFlags(
  given: Given,
  countOf: (name: CommonOption) => number,
  assignments: readonly Assignment[],
): CommonFlags {
  const has = (name: CommonOption) => given.has(name);
  return {
    verbosity: verbosityOf(countOf),
    buildOutput: has("no-build-output") ? "hidden" : "shown",
    buildLogs: has("print-build-logs") ? "wanted" : "as-usual",
    buildTrace: has("print-build-trace") ? "printed" : "not-printed",
    logFormat: readLogFormat(given.get("log-format")?.at(-1)),
    access: has("readonly-mode") ? "read-only" : "read-write",
    gcWarning: has("no-gc-warning") ? "no-warning" : "warn",
    assignments: [...assignments, ...bundledSettings(given)],
  };
}

function verbosityOf(countOf: (name: CommonOption) => number): number {
  const debug = messageLevels.indexOf("debug");
  const initial = countOf("debug") > 0 ? debug : messageLevels.indexOf("info");
  return Math.min(Math.max(initial + countOf("verbose") - countOf("quiet"), 0), messageLevels.length - 1);
}

function readLogFormat(text: string | undefined): LogFormat | undefined {
  if (text === undefined) return undefined;
  const format = logFormats.find((each) => each === text);
  if (format === undefined) throw new UsageError(`option 'log-format' has an invalid value '${text}'`);
  return format;
}

function bundledSettings(given: Given): Assignment[] {
  const assignments: Assignment[] = [];
  for (const name of ["max-jobs", "keep-going", "keep-failed"] as const) {
    const words = given.get(name);
    if (words === undefined) continue;
    const value = words.at(-1) ?? ("true" as ByteString);
    assignments.push({ name: name as string as ByteString, value, source: fromCommandLine });
  }
  return assignments;
}
