/**
 * Command-line flags that set settings, as every Nix command takes them: `--option NAME VALUE`, `--NAME VALUE` and
 * `--extra-NAME VALUE`, for booleans `--NAME` and `--no-NAME`, for the sandbox also `--relaxed-sandbox`; `-j N`, `-k`, `-K`,
 * and `--no-build-hook`. Beyond Nix, aliases are flags, too, and `--NAME=VALUE` is understood.
 */
import { UsageError } from "../../error.ts";
import type { ByteString } from "../byte-string.ts";
import { type Assignment, resolveName, type Settings, withSettings } from "./settings.ts";
import { fromCommandLine } from "./source.ts";
import { findSetting, groupOf, specOf } from "./table.ts";

export interface SplitArguments {
  readonly assignments: readonly Assignment[];
  /** What is left, in order. */
  readonly rest: readonly ByteString[];
}

/**
 * Takes the flags that set settings out of a command line, up to `--`.
 * @param reserved flags that mean something else to this command, such as `--substitute` to a substituter
 * @throws UsageError when a flag lacks its value
 */
export function splitSettingFlags(args: readonly ByteString[], reserved: ReadonlySet<string> = none): SplitArguments {
  const assignments: Assignment[] = [];
  const rest: ByteString[] = [];
  let ended = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    ended ||= arg === "--";
    const flag = !ended && arg.startsWith("-") && !reserved.has(arg) ? readFlag(args, i) : undefined;
    if (flag === undefined) {
      rest.push(arg);
    } else {
      assignments.push({ name: flag.name as ByteString, value: flag.value as ByteString, source: fromCommandLine });
      i += flag.taken - 1;
    }
  }
  return { assignments, rest };
}

/** {@link splitSettingFlags}, applied. @throws UsageError, BadSetting */
export function applySettingFlags(
  settings: Settings,
  args: readonly ByteString[],
  reserved?: ReadonlySet<string>,
): { settings: Settings; rest: readonly ByteString[] } {
  const { assignments, rest } = splitSettingFlags(args, reserved);
  return { settings: assignments.length === 0 ? settings : withSettings(settings, assignments), rest };
}

const none: ReadonlySet<string> = new Set();

interface Flag {
  readonly name: string;
  readonly value: string;
  /** Arguments used up. */
  readonly taken: number;
}

function readFlag(args: readonly string[], i: number): Flag | undefined {
  const arg = args[i]!;
  if (!arg.startsWith("--")) return readShortFlag(args, i);
  if (arg === "--option") {
    return {
      name: operand(args, i, 1, "a name and a value"),
      value: operand(args, i, 2, "a name and a value"),
      taken: 3,
    };
  }
  if (arg === "--no-build-hook") return { name: "builders", value: "", taken: 1 };

  const equals = arg.indexOf("=");
  const name = arg.slice(2, equals < 0 ? undefined : equals);
  const target = resolveName(name);
  if (target !== undefined && groupOf(target.setting) !== "nix-1.7") {
    if (equals >= 0) return { name, value: arg.slice(equals + 1), taken: 1 };
    if (specOf(target.setting).kind.flag === "value") return { name, value: operand(args, i, 1, "a value"), taken: 2 };
    return { name, value: "true", taken: 1 };
  }
  const [, word, bare] = /^(no|relaxed)-(.*)$/s.exec(name) ?? [];
  const setting = bare === undefined || equals >= 0 ? undefined : findSetting(bare);
  if (bare === undefined || setting === undefined || groupOf(setting) === "nix-1.7") return undefined;
  const { flag } = specOf(setting).kind;
  if (flag === "value" || (word === "relaxed" && flag !== "tri-switch")) return undefined;
  return { name: bare, value: word === "no" ? "false" : "relaxed", taken: 1 };
}

function readShortFlag(args: readonly string[], i: number): Flag | undefined {
  const arg = args[i]!;
  if (arg === "-k") return { name: "keep-going", value: "true", taken: 1 };
  if (arg === "-K") return { name: "keep-failed", value: "true", taken: 1 };
  if (arg === "-j") return { name: "max-jobs", value: operand(args, i, 1, "a number"), taken: 2 };
  return /^-j([0-9]+|auto)$/.test(arg) ? { name: "max-jobs", value: arg.slice(2), taken: 1 } : undefined;
}

function operand(args: readonly string[], i: number, offset: number, what: string): string {
  const value = args[i + offset];
  if (value === undefined) throw new UsageError(`Flag ${JSON.stringify(args[i])} needs ${what} after it`);
  return value;
}
