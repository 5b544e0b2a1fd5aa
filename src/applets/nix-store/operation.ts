/** What an operation of nix-store is: its place in the table (operations.ts), and the module behind it. */
import type { ByteString } from "../../formats/byte-string.ts";
import type { CommandLine } from "../command-line.ts";
import type { OptionTable } from "../command-line/option-spec.ts";
import type { Session } from "../session.ts";

export interface OperationContext {
  readonly session: Session;
  readonly line: CommandLine;
  /** Those of the command line, and with `--stdin` the words on standard input. */
  readonly operands: readonly ByteString[];
}

/** Returns the exit status. */
export type RunOperation = (context: OperationContext) => number | Promise<number>;

export interface OperationSpec {
  readonly letter?: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** What may follow the operation's flag. */
  readonly usage: string;
  /** Options of this operation alone; what several have is declared alike in each. */
  readonly options: OptionTable;
  load(): Promise<RunOperation>;
}
