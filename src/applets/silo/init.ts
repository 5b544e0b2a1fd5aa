/** `silo init`: a recipe to begin with, and what editors need for it. */
import { UsageError } from "../../error.ts";
import { type ByteString, encodeBytes, fromText, toText } from "../../formats/byte-string.ts";
import { declarationFile, declarationPath, starterRecipe, tsconfig } from "../../recipe/starter.ts";
import { close, O_CREAT, O_EXCL, O_TRUNC, O_WRONLY, open, writeAll } from "../../sys/descriptor.ts";
import { exists, mkdirs } from "../../sys/names.ts";
import { commandApplet } from "../command-line.ts";
import { absolutePath } from "../path-argument.ts";
import { defaultRecipe } from "../recipe-session.ts";

export const init = commandApplet(
  {
    name: "silo init",
    family: "silo",
    summary: "Write a recipe to begin with",
    usage: ["[DIRECTORY]"],
    examples: [
      { does: "Here", command: "silo init && silo build" },
      { does: "Give editors the declarations of a newer silo; your own files stay as they are", command: "silo init" },
    ],
    options: {},
  },
  (line, io) => {
    if (line.operands.length > 1) throw new UsageError("'silo init' takes one directory");
    const directory = absolutePath(line.operands[0] ?? ("." as ByteString));
    mkdirs(directory);
    const say = (name: string, what: string) => io.err(`${what} ${toText(showFile(directory, name))}`);
    for (const [name, contents] of [
      [defaultRecipe, starterRecipe],
      ["tsconfig.json", tsconfig],
    ] as const) {
      const path = `${directory}/${name}`;
      if (exists(path)) say(name, "kept   ");
      else {
        write(path, contents, O_EXCL);
        say(name, "wrote  ");
      }
    }
    mkdirs(`${directory}/${declarationPath.slice(0, declarationPath.lastIndexOf("/"))}`);
    // It is ours: whoever wants another has another silo.
    write(`${directory}/${declarationPath}`, declarationFile, O_TRUNC);
    say(declarationPath, "wrote  ");
    io.err("Next: 'silo build', and then look into the recipe.");
    return 0;
  },
);

function showFile(directory: ByteString, name: string): ByteString {
  const here = absolutePath("." as ByteString);
  if (directory === here) return `./${name}` as ByteString;
  return `${directory}/${name}` as ByteString;
}

function write(path: string, contents: string, flag: number): void {
  const fd = open(path, O_WRONLY | O_CREAT | flag, 0o666);
  try {
    writeAll(fd, encodeBytes(fromText(contents)));
  } finally {
    close(fd);
  }
}
