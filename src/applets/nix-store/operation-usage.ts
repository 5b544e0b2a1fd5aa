import { UsageError } from "../../error.ts";

/** For operations that take none. @throws UsageError */
export function refuseOperands(operands: readonly string[]): void {
  if (operands.length > 0) throw new UsageError("no arguments expected");
}
