/** Commands of silo that are operations of nix-store by a better name. */
import type { Applet } from "../applet.ts";
import { commandApplet } from "../command-line.ts";
import type { CommandSpec } from "../command-line/option-spec.ts";
import type { RunOperation } from "../nix-store/operation.ts";
import { openSession } from "../session.ts";

/** The options of `spec` that the operation knows have its names. */
export function operationCommand(spec: Omit<CommandSpec, "family">, load: () => Promise<RunOperation>): Applet {
  return commandApplet({ ...spec, family: "silo" }, async (line, io) => {
    const run = await load();
    return run({ session: openSession(line, io), line, operands: line.operands });
  });
}
