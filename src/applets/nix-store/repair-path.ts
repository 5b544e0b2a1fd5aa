/** `--repair-path`: fetches or builds damaged paths again. */
import { withStore } from "../open-store.ts";
import { followToStorePath } from "../path-argument.ts";
import { withBuilds } from "../store-builds.ts";
import type { OperationContext } from "./operation.ts";
import { printBuildFailure } from "./print-build-failure.ts";

export async function repairPaths({ session, operands }: OperationContext): Promise<number> {
  return withStore(session, (store) =>
    withBuilds(session, store, async (builds, signal) => {
      try {
        for (const operand of operands) await builds.repairPath(followToStorePath(store.storeDir, operand), signal);
        return 0;
      } catch (error) {
        return printBuildFailure(session.reporter, error);
      }
    }),
  );
}
