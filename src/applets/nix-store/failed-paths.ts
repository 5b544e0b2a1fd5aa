/** `--query-failed-paths` and `--clear-failed-paths`: cached build failures. */
import { withStore } from "../open-store.ts";
import { followToStorePath } from "../path-argument.ts";
import type { OperationContext } from "./operation.ts";
import { refuseOperands } from "./operation-usage.ts";
import { printPaths } from "./print-paths.ts";

export async function queryFailedPaths({ session, operands }: OperationContext): Promise<number> {
  refuseOperands(operands);
  return withStore(session, (store) => {
    printPaths(session.io, store.storeDir, store.queryFailedPaths());
    return 0;
  });
}

export async function clearFailedPaths({ session, operands }: OperationContext): Promise<number> {
  return withStore(session, (store) => {
    const paths = operands.includes("*" as (typeof operands)[number])
      ? "all"
      : operands.map((operand) => followToStorePath(store.storeDir, operand));
    store.clearFailedPaths(paths);
    return 0;
  });
}
