/** `silo` without a command that it knows. */
import { UsageError } from "../error.ts";
import type { Io } from "./io.ts";
import { nixApplets, siloApplets } from "./applet-table.ts";

/** Lists the commands for `silo --help`; refuses anything else. @throws UsageError */
export function runSilo(args: readonly string[], io: Io): number {
  const [command] = args;
  if (command !== undefined && command !== "--help" && command !== "help") {
    throw new UsageError(`'${command}' is not a command of silo`);
  }
  const names = [...Object.keys(siloApplets), ...Object.keys(nixApplets)];
  io.out(`Usage: silo COMMAND [ARGUMENTS]...\n\nCommands:\n${names.map((name) => `  ${name}\n`).join("")}`);
  return 0;
}
