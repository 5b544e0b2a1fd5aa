/** Completion of options, by yargs, from what commands declare. Loaded when a shell asks. */
import yargs from "yargs";
import { commonOptions } from "./common-options.ts";
import type { CommandSpec, OptionTable } from "./option-spec.ts";

/** The words that may continue a command line: `args` are the completion flag and the words so far. */
export async function completeOptions(spec: CommandSpec, args: readonly string[]): Promise<string[]> {
  const words = args.slice(1);
  const last = words.at(-1) ?? "";
  if (!last.startsWith("-")) return []; // an operand: a file, which shells complete by themselves
  let command = yargs([]).scriptName(spec.name).help(false).version(false).exitProcess(false);
  command = command.parserConfiguration({ "boolean-negation": false, "camel-case-expansion": false });
  const options: OptionTable = { ...spec.options, ...commonOptions };
  for (const [name, { letter, aliases = [], help }] of Object.entries(options)) {
    command = command.option(name, { alias: letter === undefined ? aliases : [letter, ...aliases], describe: help });
  }
  const completions = await command.getCompletion(words);
  return completions.filter((word) => word.startsWith(last));
}
