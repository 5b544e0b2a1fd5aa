/** `--gc`: collects garbage, or prints roots or what is live or dead. */
import { collectAndTell, collectorOf, parseMaxFreed } from "../store-collector.ts";
import { withStore } from "../open-store.ts";
import type { OperationContext } from "./operation.ts";
import { refuseOperands } from "./operation-usage.ts";

const actions = { "print-live": "return-live", "print-dead": "return-dead", delete: "delete-dead" } as const;

export async function gc({ session, line, operands }: OperationContext): Promise<number> {
  const { io } = session;
  refuseOperands(operands);
  const printRoots = line.has("print-roots");
  const given = [...line.given.keys()].filter((name): name is keyof typeof actions => Object.hasOwn(actions, name));
  const maxFreed = line.last("max-freed");
  const action = actions[given.at(-1) ?? "delete"];
  const limit = maxFreed === undefined ? undefined : parseMaxFreed(maxFreed);
  await withStore(session, async (store) => {
    const service = await collectorOf(store);
    if (printRoots) {
      for (const { link, target } of await service.findRoots())
        io.out(Buffer.from(`${link} -> ${store.storeDir}/${target}\n`, "latin1"));
      return;
    }
    const options = { action, paths: [], liveness: "respect", referrers: "keep", maxFreed: limit } as const;
    if (action === "delete-dead") return collectAndTell(service, options, io);
    const { paths } = await service.collect(options);
    for (const path of paths) io.out(`${path}\n`);
  });
  return 0;
}
