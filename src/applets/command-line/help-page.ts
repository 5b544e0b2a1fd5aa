/** Help pages, from what commands declare. */
import { type ByteString, fromText } from "../../formats/byte-string.ts";
import { commonOptions } from "./common-options.ts";
import type { CommandSpec, OptionSpec } from "./option-spec.ts";

/** Columns. */
const pageWidth = 100;

/** Opens with examples. */
export function printHelp(spec: CommandSpec): ByteString {
  const examples = spec.examples.map(({ does, command }) => `  # ${does}\n  $ ${command}\n`).join("\n");
  const usage = spec.usage.map((form) => `  ${spec.name} ${form}`.trimEnd()).join("\n");
  const grouped = new Set<string>(Object.values(spec.groups ?? {}).flat());
  const options: Section[] = [
    ["Options", Object.entries(spec.options).filter(([name]) => !grouped.has(name))],
    ...Object.entries(spec.groups ?? {}).map(
      ([heading, names]): Section => [heading, names.map((name) => [name, spec.options[name]!])],
    ),
    ["Options of every command", Object.entries(commonOptions)],
  ];
  return fromText(
    `${spec.name}: ${spec.summary}\n\nExamples:\n${examples}\nUsage:\n${usage}\n\n${options.map(printSection).join("")}` +
      "Every setting of nix.conf is an option, too: --NAME VALUE, --NAME and --no-NAME, --option NAME VALUE.\n",
  );
}

/** A heading and the options below it. */
type Section = readonly [string, readonly (readonly [string, OptionSpec])[]];

function printSection([heading, options]: Section): string {
  if (options.length === 0) return "";
  const rows = options.map(([name, option]) => [printFlags(name, option), describeOption(option)] as const);
  const column = Math.max(...rows.map(([flags]) => flags.length)) + 2;
  const lines = rows.map(
    ([flags, text]) => flags.padEnd(column) + wrap(text, pageWidth - column).join(`\n${" ".repeat(column)}`),
  );
  return `${heading}:\n${lines.join("\n")}\n\n`;
}

function printFlags(name: string, { letter, aliases = [] }: OptionSpec): string {
  const names = [name, ...aliases].map((word) => `--${word}`).join(", ");
  return letter === undefined ? `      ${names}` : `  -${letter}, ${names}`;
}

function describeOption({ help, operands }: OptionSpec): string {
  return operands === undefined ? help : `${help} (${operands.join(" ")})`;
}

/** Lines of at most `width` characters, as far as words allow. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
