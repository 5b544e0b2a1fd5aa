/** Help pages and completion, by yargs, from what commands declare. Loaded when somebody asks. */
import yargs, { type Yargs } from "yargs";
import { fromText } from "../../formats/byte-string.ts";
import { commonOptions } from "./common-options.ts";
import type { CommandSpec, OptionSpec, OptionTable } from "./option-spec.ts";

const width = 100;

/** Opens with examples. A byte string. */
export async function printHelp(spec: CommandSpec): Promise<string> {
  const examples = spec.examples.map(({ does, command }) => `  # ${does}\n  $ ${command}\n`).join("\n");
  const usage = spec.usage.map((form) => `  ${spec.name} ${form}`.trimEnd()).join("\n");
  const settings =
    "Every setting of nix.conf is an option, too: --NAME VALUE, --NAME and --no-NAME, --option NAME VALUE.";
  const options = await describe(spec).getHelp();
  return fromText(
    `${spec.name}: ${spec.summary}\n\nExamples:\n${examples}\nUsage:\n${usage}\n\n${options}\n\n${settings}\n`,
  );
}

/** The words that may continue a command line: `args` are the completion flag and the words so far. */
export async function completeCommand(spec: CommandSpec, args: readonly string[]): Promise<string[]> {
  const words = args.slice(1);
  const last = words.at(-1) ?? "";
  if (!last.startsWith("-")) return []; // an operand: a file, which shells complete by themselves
  const completions = await describe(spec).getCompletion(words);
  return completions.filter((word) => word.startsWith(last));
}

function describe(spec: CommandSpec): Yargs {
  let page = yargs([]).scriptName(spec.name).help(false).version(false).exitProcess(false).wrap(width);
  page = page.parserConfiguration({ "boolean-negation": false, "camel-case-expansion": false });
  const groupOf = new Map<string, string>();
  for (const [group, names] of Object.entries(spec.groups ?? {})) {
    for (const name of names) groupOf.set(name, `${group}:`);
  }
  page = addOptions(page, spec.options, (name) => groupOf.get(name) ?? "Options:");
  return addOptions(page, commonOptions, () => "Options of every command:");
}

function addOptions(page: Yargs, table: OptionTable, groupOf: (name: string) => string): Yargs {
  for (const [name, option] of Object.entries(table)) {
    const { letter, aliases = [] } = option;
    const alias = letter === undefined ? aliases : [letter, ...aliases];
    page = page.option(name, { alias, describe: describeOption(option), group: groupOf(name) });
  }
  return page;
}

function describeOption({ help, operands }: OptionSpec): string {
  return operands === undefined ? help : `${help} (${operands.join(" ")})`;
}
