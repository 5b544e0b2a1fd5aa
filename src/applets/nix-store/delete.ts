/** `--delete`: deletes paths that nothing needs. */
import { collectAndTell, collectorOf } from "../store-collector.ts";
import { withStore } from "../open-store.ts";
import { followToStorePath } from "../path-argument.ts";
import type { OperationContext } from "./operation.ts";

export async function deletePaths({ session, line, operands }: OperationContext): Promise<number> {
  await withStore(session, async (store) => {
    const paths = operands.map((operand) => followToStorePath(store.storeDir, operand));
    const liveness = line.has("ignore-liveness") ? "ignore" : "respect";
    const service = await collectorOf(store);
    const options = { action: "delete-specific", paths, liveness, referrers: "keep", maxFreed: undefined } as const;
    await collectAndTell(service, options, session.io);
  });
  return 0;
}
