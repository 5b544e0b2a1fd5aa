/** `silo` without a command that it knows: the list of commands, or which one was meant. */
import { UsageError } from "../error.ts";
import { type ByteString, fromText } from "../formats/byte-string.ts";
import type { Applet } from "./applet.ts";
import { nixApplets, siloApplets } from "./applet-table.ts";
import { completionFlag } from "./command-line.ts";
import type { Io } from "./io.ts";
import { closestName } from "./silo/closest-name.ts";
import { completeSilo } from "./silo/complete.ts";

/** Lists the commands for `silo --help`; refuses anything else. @throws UsageError */
export async function runSilo(args: readonly ByteString[], io: Io): Promise<number> {
  const [command, ...words] = args;
  if (command === completionFlag) return completeSilo(words, io);
  if (command === "help" && words.length > 0) return helpOf(words, io);
  if (command !== undefined && command !== "--help" && command !== "-h" && command !== "help") throw unknown(command);
  const own = await summaries(siloApplets);
  const nix = await summaries(nixApplets);
  const page =
    "silo: a purely functional package store in one executable\n\n" +
    `Usage: silo COMMAND [ARGUMENTS]…\n\nCommands:\n${own}\n` +
    `Programs of Nix, also by a link of their name to silo:\n${nix}\n` +
    "'silo COMMAND --help' and 'silo help COMMAND' tell more of each; 'silo --version' tells the version.\n";
  io.out(fromText(page));
  if (command === undefined) throw new UsageError("no command given");
  return 0;
}

/** `silo help nar ls` is `silo nar ls --help`. @throws UsageError */
async function helpOf([command, ...words]: readonly ByteString[], io: Io): Promise<number> {
  const load = siloApplets[command!] ?? nixApplets[command!];
  if (load === undefined) throw unknown(command!);
  return (await load()).run([...words, "--help" as ByteString], io);
}

function unknown(command: string): UsageError {
  const close = closestName(command, [...Object.keys(siloApplets), ...Object.keys(nixApplets)]);
  const hint = close === undefined ? "" : `; did you mean '${close}'?`;
  return new UsageError(`'${command}' is not a command of silo${hint}`);
}

async function summaries(table: Readonly<Record<string, () => Promise<Applet>>>): Promise<string> {
  const rows = await Promise.all(
    Object.entries(table)
      .filter(([name]) => !name.startsWith("_"))
      .map(async ([name, load]) => `  ${name.padEnd(20)} ${(await load()).summary}\n`),
  );
  return rows.join("");
}
