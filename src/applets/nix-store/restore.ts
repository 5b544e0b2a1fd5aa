/** `--restore`: the NAR on standard input to a new file or directory. What a broken NAR began is taken away again. */
import { UsageError } from "../../error.ts";
import { restoreTree } from "../../store/tree/restore.ts";
import { restoreNar } from "../../store/tree/restore-nar.ts";
import { deleteTree } from "../../sys/delete-tree.ts";
import { fdReader } from "../../sys/fd-reader.ts";
import type { OperationContext } from "./operation.ts";

export function restore({ session, operands }: OperationContext): number {
  const [file, ...others] = operands;
  if (file === undefined || others.length > 0) throw new UsageError("only one argument allowed");
  const restorer = restoreTree(file, "plain");
  try {
    restoreNar(fdReader(session.io.stdinFd, "standard input"), restorer);
  } catch (error) {
    restorer.abandon();
    if (restorer.hasBegun) deleteTree(file); // else the file was there before
    throw error;
  }
  return 0;
}
