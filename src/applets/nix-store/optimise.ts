/** `--optimise`: files with the same contents become one. */
import { noSavings } from "../../store/optimise.ts";
import { withStore } from "../open-store.ts";
import type { OperationContext } from "./operation.ts";
import { refuseOperands } from "./operation-usage.ts";

export async function optimise({ session, operands }: OperationContext): Promise<number> {
  refuseOperands(operands);
  const { reporter } = session;
  const activity = reporter.start({ kind: "optimise-store", level: "info", text: "" });
  let stats = noSavings();
  await withStore(session, (store) => {
    stats = store.optimise((path, done, expected) => {
      reporter.message("talkative", `optimising path '${store.storeDir}/${path}'`);
      activity.result({ kind: "progress", done, expected, running: 1, failed: 0 });
    });
  });
  activity.stop();
  const freed = (stats.bytesFreed / 2 ** 20).toFixed(2);
  reporter.message("info", `${freed} MiB freed by hard-linking ${stats.filesLinked} files`);
  return 0;
}
