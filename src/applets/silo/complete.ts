/** The words that may continue a command line of silo, for the scripts of `silo completion`. */
import type { ByteString } from "../../formats/byte-string.ts";
import { nixApplets, siloApplets } from "../applet-table.ts";
import { completionFlag, withoutQuote } from "../command-line.ts";
import type { Io } from "../io.ts";
import { shells } from "./completion.ts";
import { completeRecipe, recipeCommands } from "./complete-recipe.ts";

/** `words` are those after the program's name, the unfinished one last. */
export async function completeSilo(words: readonly ByteString[], io: Io): Promise<number> {
  const [command, ...rest] = words;
  if (rest.length === 0) {
    const names = [...Object.keys(siloApplets), "help", ...Object.keys(nixApplets), "--help", "--version"];
    for (const name of names) if (name.startsWith(command ?? "")) io.out(`${name}\n`);
    return 0;
  }
  if (command === "help") return completeSilo(rest, io);
  if (command === "completion" && rest.length === 1) {
    for (const shell of shells) if (shell.startsWith(rest[0]!)) io.out(`${shell}\n`);
  }
  if (recipeCommands.has(command!) && (await completeRecipe(withoutQuote(rest.at(-1)!), io))) return 0;
  const load = siloApplets[command!] ?? nixApplets[command!];
  return load === undefined ? 0 : (await load()).run([completionFlag as ByteString, ...rest], io);
}
