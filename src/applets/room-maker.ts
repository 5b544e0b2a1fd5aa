/** Automatic collection, for those whose settings want it; for all others the collector is not even loaded. */
import type { Settings } from "../formats/settings/settings.ts";
import type { LocalStoreConfig } from "../store/local-store.ts";

export async function roomMaker(settings: Settings): Promise<Pick<LocalStoreConfig, "makeRoom">> {
  if (settings.get("min-free") === 0) return {};
  const { autoCollector } = await import("../gc/auto-collect.ts");
  return { makeRoom: autoCollector() };
}
