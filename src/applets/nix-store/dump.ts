/** `--dump`: any file or directory as a NAR. */
import { UsageError } from "../../error.ts";
import { dumpTree } from "../../store/tree/nar-hash.ts";
import { writeAll } from "../../sys/descriptor.ts";
import type { OperationContext } from "./operation.ts";

export function dump({ session, operands }: OperationContext): number {
  const [file, ...others] = operands;
  if (file === undefined || others.length > 0) throw new UsageError("only one argument allowed");
  // The chunks are large already.
  dumpTree(file, (chunk) => writeAll(session.io.stdoutFd, chunk));
  return 0;
}
