/** `--print-env`: the environment of a derivation as commands of a shell. */
import { UsageError } from "../../error.ts";
import { compareBytes } from "../../formats/byte-string.ts";
import { withStore } from "../open-store.ts";
import { parsePathArgument } from "../path-argument.ts";
import { derivationOf } from "./derivation-of.ts";
import { ensureValid, tellFailure } from "./ensure-valid.ts";
import type { OperationContext } from "./operation.ts";

export async function printEnv({ session, operands }: OperationContext): Promise<number> {
  const [operand, ...others] = operands;
  if (operand === undefined || others.length > 0) {
    throw new UsageError("'--print-env' requires one derivation store path");
  }
  const { io } = session;
  return withStore(session, (store) =>
    tellFailure(session, async () => {
      const drvPath = parsePathArgument(store.storeDir, operand);
      await ensureValid(session, store, drvPath);
      const { env, args } = derivationOf(store, drvPath);
      for (const [name, value] of [...env].sort(([a], [b]) => compareBytes(a, b))) {
        io.out(`export ${name}; ${name}=${quoteForShell(value)}\n`);
      }
      // As Nix prints it: the quotes are doubled, so that a shell takes arguments with blanks apart.
      io.out(`export _args; _args='${args.map(quoteForShell).join(" ")}'\n`);
    }),
  );
}

function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
