/** `--restore`: the NAR on standard input to a new file or directory. What a broken NAR began is taken away again. */
import { UsageError } from "../../error.ts";
import { runSync } from "../../formats/codec.ts";
import { readNar } from "../../formats/nar/read-nar.ts";
import type { NarVisitor } from "../../formats/nar/visitor.ts";
import { restoreTree } from "../../store/tree/restore.ts";
import { deleteTree } from "../../sys/delete-tree.ts";
import { fdReader } from "../../sys/fd-reader.ts";
import type { OperationContext } from "./operation.ts";

export function restore({ session, operands }: OperationContext): number {
  const [file, ...others] = operands;
  if (file === undefined || others.length > 0) throw new UsageError("only one argument allowed");
  const restorer = restoreTree(file, "plain");
  let begun = false;
  const begin = <A extends unknown[]>(step: (...args: A) => void) => {
    return (...args: A) => {
      step(...args);
      begun = true;
    };
  };
  const visitor: NarVisitor = {
    ...restorer,
    directory: begin(restorer.directory),
    file: begin(restorer.file),
    symlink: begin(restorer.symlink),
  };
  try {
    runSync(readNar(visitor), fdReader(session.io.stdinFd, "standard input"));
  } catch (error) {
    restorer.abandon();
    if (begun) deleteTree(file); // else the file was there before
    throw error;
  }
  return 0;
}
