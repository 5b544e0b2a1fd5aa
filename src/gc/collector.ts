/** The collector of a local store behind the interface that applets and the daemon use. */
import type { CollectService } from "../store/collect-service.ts";
import type { LocalStore } from "../store/local-store.ts";
import { collectGarbage } from "./collect-garbage.ts";
import { findRoots } from "./roots/find-roots.ts";

export function collector(store: LocalStore): CollectService {
  return {
    findRoots: () => findRoots(store),
    collect: (options) => collectGarbage(store, options),
  };
}
