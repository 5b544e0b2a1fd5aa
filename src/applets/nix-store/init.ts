/** `--init`: opening the store makes what is missing. */
import { withStore } from "../open-store.ts";
import type { OperationContext } from "./operation.ts";
import { refuseOperands } from "./operation-usage.ts";

export async function init({ session, operands }: OperationContext): Promise<number> {
  refuseOperands(operands);
  return withStore(session, () => 0);
}
