/** `--roots`: the roots that keep paths alive, directly or not. */
import { collectorOf } from "../../store-collector.ts";
import type { QueryContext } from "./query.ts";
import { allTargets } from "./targets.ts";

export async function roots(context: QueryContext): Promise<void> {
  const { store, io, operation } = context;
  const { settings } = operation.session;
  const targets = await allTargets(context);
  const keepers = new Set(
    store.computeClosure(store.queryValidPaths(targets), "referrers", {
      outputs: settings.get("keep-outputs"),
      derivers: settings.get("keep-derivations"),
    }),
  );
  const service = await collectorOf(store);
  for (const { link, target } of await service.findRoots()) {
    if (keepers.has(target)) io.out(Buffer.from(`${link} -> ${store.storeDir}/${target}\n`, "latin1"));
  }
}
