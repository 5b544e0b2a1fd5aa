/**
 * Command lines, by the data that a command declares (command-line/option-spec.ts). The grammar is Nix's: options
 * anywhere, letters bundled (`-qR`, `-j4`), as many words behind an option as it says, whatever they look like, and `--`
 * before operands that begin with a dash. `--name=value` is understood, too.
 *
 * The parser is the one that yargs itself uses; all of yargs is loaded for completion only, as that takes longer than
 * most commands do.
 */
import parser from "yargs-parser/browser";
import { UsageError } from "../error.ts";
import type { ByteString } from "../formats/byte-string.ts";
import { type SplitArguments, splitSettingFlags } from "../formats/settings/flags.ts";
import type { Assignment } from "../formats/settings/settings.ts";
import { compatibleNixVersion, siloVersion } from "../version.ts";
import type { Applet } from "./applet.ts";
import { type CommonFlags, commonOptions, readCommonFlags } from "./command-line/common-options.ts";
import type { CommandSpec, OptionSpec, OptionTable } from "./command-line/option-spec.ts";
import type { Io } from "./io.ts";
import { closestName } from "./silo/closest-name.ts";

export interface CommandLine<N extends string = string> {
  /** The options given, in the order of their first occurrence, with the words behind all their occurrences. */
  readonly given: ReadonlyMap<string, readonly ByteString[]>;
  has(option: N): boolean;
  /** The word behind the last occurrence of an option that takes one. */
  last(option: N): ByteString | undefined;
  readonly operands: readonly ByteString[];
  readonly common: CommonFlags;
}

/** What shells call for completion (command-line/complete-options.ts). */
export const completionFlag = "--get-yargs-completions";

/** bash gives the quote that a word was begun with, and completes what is behind it. */
export function withoutQuote(word: ByteString): ByteString {
  return word.replace(/^['"]/, "") as ByteString;
}

/** The applet that runs `run` with an understood command line, and answers `--help`, `--version` and completion itself. */
export function commandApplet<N extends string>(
  spec: CommandSpec<N>,
  run: (line: CommandLine<N>, io: Io) => number | Promise<number>,
): Applet {
  return {
    name: spec.name,
    summary: spec.summary,
    async run(args, io) {
      if (args[0] === completionFlag) {
        const { completeStorePath } = await import("./command-line/complete-store-path.ts");
        if (completeStorePath(withoutQuote(args.at(-1)!), io)) return 0;
        const { completeOptions } = await import("./command-line/complete-options.ts");
        for (const word of await completeOptions(spec, args)) io.out(`${word}\n`);
        return 0;
      }
      const line = parseCommandLine(spec, args);
      if (line === "help") {
        const { printHelp } = await import("./command-line/help-page.ts");
        io.out(printHelp(spec));
        return 0;
      }
      if (line === "version") {
        io.out(`${printVersion(spec)}\n`);
        return 0;
      }
      return run(line, io);
    },
  };
}

/** @throws UsageError */
export function parseCommandLine<N extends string>(
  spec: CommandSpec<N>,
  args: readonly ByteString[],
): CommandLine<N> | "help" | "version" {
  const table: OptionTable = { ...commonOptions, ...spec.options };
  const flags = new Map<string, string>();
  for (const [name, option] of Object.entries(table)) for (const flag of flagsOf(name, option)) flags.set(flag, name);
  const { assignments, rest } = splitSettings(args, table, flags);
  const { argv, error } = parser.detailed(rest, parserOptions(table, mentionedOptions(rest, flags)));
  const given = new Map<string, ByteString[]>();
  for (const [key, value] of Object.entries(argv)) {
    if (key !== "_" && value !== 0 && Object.hasOwn(table, key)) given.set(key, wordsOf(value));
  }
  refuseUnknown(spec, flags, argv, rest);
  if (error !== null) throw new UsageError(explainParserError(table, error.message));
  if (given.has("help")) return "help";
  if (given.has("version")) return "version";
  for (const [name, words] of given) {
    const needed = table[name]!.operands?.length ?? 0;
    if (needed > 0 && (words.length === 0 || words.length % needed !== 0)) throw missingOperands(name, needed);
  }
  const countOf = (name: string) => (given.has(name) ? Number(argv[name]) : 0);
  return {
    given,
    has: (option) => given.has(option),
    last: (option) => given.get(option)?.at(-1),
    operands: argv._ as readonly ByteString[],
    common: readCommonFlags(given, countOf, assignments),
  };
}

/** `nix-store (silo) 2.18.0` for programs of Nix, whose third word scripts compare; `silo 0.1.0` for the others. */
export function printVersion({ name, family }: Pick<CommandSpec, "name" | "family">): string {
  return family === "nix" ? `${name} (silo) ${compatibleNixVersion}` : `silo ${siloVersion}`;
}

/** An option as one writes it: `--query`, or `-q` when only the letter is known. */
export function showFlag(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}

/** Every way to write an option. */
function flagsOf(name: string, { letter, aliases = [] }: OptionSpec): string[] {
  const flags = [name, ...aliases].map((word) => `--${word}`);
  return letter === undefined ? flags : [`-${letter}`, ...flags];
}

/** Takes settings out, but not from the words that belong to other options. */
function splitSettings(
  args: readonly ByteString[],
  table: OptionTable,
  flags: ReadonlyMap<string, string>,
): SplitArguments {
  const reserved = reservedFlags(flags);
  const end = args.indexOf("--" as ByteString);
  const assignments: Assignment[] = [];
  const rest: ByteString[] = [];
  let from = 0;
  const takeUpTo = (to: number) => {
    if (to <= from) return;
    const split = splitSettingFlags(args.slice(from, to), reserved);
    assignments.push(...split.assignments);
    rest.push(...split.rest);
  };
  for (let i = 0; i < (end < 0 ? args.length : end); i++) {
    const arg = args[i]!;
    const operands = reserved.has(arg) ? table[flags.get(arg)!]!.operands : undefined;
    if (operands === undefined) continue;
    takeUpTo(i);
    from = i + 1 + operands.length;
    rest.push(...args.slice(i, from));
    i = from - 1;
  }
  takeUpTo(args.length);
  return { assignments, rest };
}

/** Flags that are no setting's; `-j` and the like are both, and better taken for settings, which keep their order. */
function reservedFlags(flags: ReadonlyMap<string, string>): ReadonlySet<string> {
  return new Set([...flags.keys()].filter((flag) => !settingLetters.has(flag)));
}

const settingLetters: ReadonlySet<string> = new Set(["-j", "-k", "-K", "--max-jobs", "--keep-going", "--keep-failed"]);

/**
 * The options that may be on this command line: the parser takes its time to learn each that it is told of. Words behind
 * an option may look like one, so it may be too many.
 */
function mentionedOptions(args: readonly string[], flags: ReadonlyMap<string, string>): ReadonlySet<string> {
  const mentioned = new Set<string>();
  const mention = (flag: string) => {
    const name = flags.get(flag);
    if (name !== undefined) mentioned.add(name);
  };
  for (const arg of args) {
    if (arg.startsWith("--")) mention(arg.split("=", 1)[0]!);
    else if (arg.startsWith("-")) for (const letter of arg.slice(1)) mention(`-${letter}`);
  }
  return mentioned;
}

function parserOptions(table: OptionTable, names: Iterable<string>): Parameters<typeof parser.detailed>[1] {
  const alias: Record<string, string[]> = {};
  const count: string[] = [];
  const string: string[] = [];
  const narg: Record<string, number> = {};
  for (const name of names) {
    const { letter, aliases, operands } = table[name]!;
    if (letter !== undefined || aliases !== undefined) {
      alias[name] = letter === undefined ? [...aliases!] : [letter, ...(aliases ?? [])];
    }
    (operands === undefined ? count : string).push(name);
    narg[name] = operands?.length ?? 0; // with 0 a flag does not take `true` or `false` behind it for its value
  }
  return { alias, count, string, narg, configuration };
}

const configuration = {
  "boolean-negation": false,
  "camel-case-expansion": false,
  "dot-notation": false,
  "nargs-eats-options": true,
  "parse-numbers": false,
  "parse-positional-numbers": false,
  "duplicate-arguments-array": true,
  "flatten-duplicate-arrays": true,
};

/** The words of an option that takes some; none for a flag. */
function wordsOf(value: unknown): ByteString[] {
  const values: unknown[] = Array.isArray(value) ? value : [value];
  return values.filter((each) => typeof each === "string") as ByteString[];
}

function refuseUnknown(
  spec: CommandSpec,
  flags: ReadonlyMap<string, string>,
  argv: object,
  args: readonly string[],
): void {
  for (const key of Object.keys(argv)) {
    if (key === "_" || flags.has(`--${key}`) || flags.has(`-${key}`)) continue;
    // A letter of a bundle is shown alone, a word as it was written.
    const flag = args.find((arg) => arg === `--${key}` || arg.startsWith(`--${key}=`)) ?? `-${key}`;
    const guesses = spec.family === "silo" && flag.startsWith("--");
    const close = guesses ? closestName(flag.split("=", 1)[0]!, [...flags.keys()]) : undefined;
    const hint = close === undefined ? "" : `; did you mean '${close}'?`;
    throw new UsageError(`${spec.unknownFlag ?? "unrecognised flag"} '${flag}'${hint}`);
  }
}

function missingOperands(name: string, count: number): UsageError {
  return new UsageError(`flag '${showFlag(name)}' requires ${count} argument(s)`);
}

/** The parser names the option at the end of what it says, by whichever of its names. */
function explainParserError(table: OptionTable, message: string): string {
  const name = message.slice(message.lastIndexOf(" ") + 1);
  const option = Object.entries(table).find(([long, { letter }]) => long === name || letter === name)?.[1];
  if (message.startsWith("Not enough")) return missingOperands(name, option?.operands?.length ?? 1).message;
  return `flag '${showFlag(name)}' takes no value`;
}
