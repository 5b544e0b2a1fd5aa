/** Commands of commands: `silo nar dump`. The group answers `--help` with its list. */
import { UsageError } from "../../error.ts";
import { type ByteString, fromText } from "../../formats/byte-string.ts";
import type { Applet } from "../applet.ts";
import { completionFlag } from "../command-line.ts";
import { closestName } from "./closest-name.ts";

export interface GroupSpec {
  /** As people call it: `silo nar`. */
  readonly name: string;
  readonly summary: string;
  readonly commands: Readonly<Record<string, { readonly summary: string; readonly load: () => Promise<Applet> }>>;
}

export function commandGroup({ name, summary, commands }: GroupSpec): Applet {
  return {
    name,
    summary,
    async run([command, ...args], io) {
      if (command === completionFlag) return complete(args);
      const entry = command === undefined ? undefined : commands[command];
      if (entry !== undefined) return (await entry.load()).run(args, io);
      if (command !== undefined && command !== "--help" && command !== "-h") {
        const close = closestName(command, Object.keys(commands));
        const hint = close === undefined ? "" : `; did you mean '${close}'?`;
        throw new UsageError(`'${command}' is not a command of '${name}'${hint}`);
      }
      const list = Object.entries(commands).map(([each, spec]) => `  ${name} ${each.padEnd(12)} ${spec.summary}\n`);
      io.out(
        fromText(`${name}: ${summary}\n\nCommands:\n${list.join("")}\n'${name} COMMAND --help' tells more of each.\n`),
      );
      if (command === undefined) throw new UsageError(`'${name}' needs a command`);
      return 0;

      async function complete([begun, ...words]: readonly ByteString[]): Promise<number> {
        const entry = begun === undefined ? undefined : commands[begun];
        if (words.length > 0)
          return entry === undefined ? 0 : (await entry.load()).run([completionFlag as ByteString, ...words], io);
        for (const each of Object.keys(commands)) if (each.startsWith(begun ?? "")) io.out(`${each}\n`);
        return 0;
      }
    },
  };
}
