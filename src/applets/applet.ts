/** What a command of silo is: a record that main finds by name and runs. The rules are in the services below. */
import type { ByteString } from "../formats/byte-string.ts";
import type { Io } from "./io.ts";

export interface Applet {
  /** As it is called: `nix-store`, or `gc` for `silo gc`. */
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** `args` are without the name; file names among them need not be UTF-8. The exit status; errors are thrown and main prints them. */
  run(args: readonly ByteString[], io: Io): number | Promise<number>;
}
