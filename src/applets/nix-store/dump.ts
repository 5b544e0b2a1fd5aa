/** `--dump`: any file or directory as a NAR. */
import { UsageError } from "../../error.ts";
import { dumpTreeTo } from "../../store/tree/nar-hash.ts";
import type { OperationContext } from "./operation.ts";

export function dump({ session, operands }: OperationContext): number {
  const [file, ...others] = operands;
  if (file === undefined || others.length > 0) throw new UsageError("only one argument allowed");
  dumpTreeTo(session.io.stdoutFd, file);
  return 0;
}
