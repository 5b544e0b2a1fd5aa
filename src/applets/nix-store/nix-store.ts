/** nix-store: low-level operations on the store. One operation a call; operations.ts has them. */
import { UsageError } from "../../error.ts";
import { type CommandLine, commandApplet } from "../command-line.ts";
import { commonOptions } from "../command-line/common-options.ts";
import type { CommandSpec, OptionSpec, OptionTable } from "../command-line/option-spec.ts";
import type { Io } from "../io.ts";
import { openSession } from "../session.ts";
import type { OperationSpec } from "./operation.ts";
import { operations } from "./operations.ts";

const generalOptions = {
  "add-root": {
    operands: ["LINK"],
    help: "Make a link to each realised path, and a root of the garbage collector of it",
  },
  indirect: { help: "Of Nix 1.7: the root may be anywhere, as is always so now" },
  "no-output": { help: "Do not print the resulting paths" },
  stdin: { help: "Read further operands from standard input, separated by blanks" },
} as const satisfies OptionTable;

const spec: CommandSpec = {
  name: "nix-store",
  family: "nix",
  summary: "Manipulate or query the Nix store",
  unknownFlag: "unknown flag",
  usage: Object.entries(operations).map(([name, { letter, usage }]) => {
    return `--${name}${letter === undefined ? "" : ` | -${letter}`} ${usage}`;
  }),
  examples: [
    { does: "Everything that a program needs at run time", command: "nix-store -qR $(which svn)" },
    { does: "What it was built from, as a tree", command: "nix-store -q --tree $(nix-store -qd $(which svn))" },
    { does: "Add a file", command: "nix-store --add ./foo.c" },
    {
      does: "Copy a closure to another machine",
      command: "nix-store --export $(nix-store -qR PATHS) | ssh HOST nix-store --import",
    },
    { does: "Read a build log", command: "nix-store -l $(which ktorrent)" },
  ],
  options: allOptions(),
  groups: {
    Operations: Object.keys(operations),
    ...Object.fromEntries(Object.entries(operations).map(([name, { options }]) => [`--${name}`, Object.keys(options)])),
  },
};

export const nixStore = commandApplet(spec, runOperation);

async function runOperation(line: CommandLine, io: Io): Promise<number> {
  const operation = chooseOperation(line);
  for (const name of line.given.keys()) {
    if (name === "delete" && operation === operations["gc"]) continue;
    const isKnown = [commonOptions, generalOptions, operation.options].some((table) => Object.hasOwn(table, name));
    if (!isKnown && operations[name] !== operation) throw new UsageError(`unknown flag '--${name}'`);
  }
  const session = openSession(line, io);
  const run = await operation.load();
  const operands = line.has("stdin") ? [...line.operands, ...(await wordsOfStdin(io))] : line.operands;
  return run({ session, line, operands });
}

function chooseOperation(line: CommandLine): OperationSpec {
  const given = [...line.given.keys()].filter((each) => Object.hasOwn(operations, each));
  // `--gc --delete` says what `--gc` does anyway.
  const [name, ...others] = line.has("gc") ? given.filter((each) => each !== "delete") : given;
  if (name === undefined) throw new UsageError("no operation specified");
  if (others.length > 0) throw new UsageError("only one operation may be specified");
  return operations[name]!;
}

async function wordsOfStdin(io: Io) {
  const { readWords } = await import("./stdin-words.ts");
  return readWords(io.stdinFd);
}

function allOptions(): OptionTable {
  const options: Record<string, OptionSpec> = { ...generalOptions };
  for (const [name, { letter, aliases, summary, options: own }] of Object.entries(operations)) {
    options[name] = {
      help: summary,
      ...(letter === undefined ? {} : { letter }),
      ...(aliases === undefined ? {} : { aliases }),
    };
    Object.assign(options, own);
  }
  return options;
}
