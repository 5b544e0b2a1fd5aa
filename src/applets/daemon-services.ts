/** What the daemon has the other services do, put together. */
import { openBuildLog } from "../build/build-log.ts";
import type { DaemonServices } from "../daemon/server/session.ts";
import { collector } from "../gc/collector.ts";
import type { Environment } from "../store/directories.ts";
import type { LocalStore } from "../store/local-store.ts";
import { exists } from "../sys/names.ts";
import { openBuildService, type OpenBuildService } from "./build-service.ts";
import { itemSigner, itemVerifier } from "./nix-store/signing-key.ts";

/** @param buildOutput whether the client sees what builders print as it comes, or only the end of what has failed */
export function daemonServices(
  store: LocalStore,
  env: Environment,
  buildOutput: "shown" | "hidden",
): DaemonServices & { close(): void } {
  let builds: OpenBuildService | undefined;
  return {
    /** Helper programs and all are started by the first who builds. */
    get build() {
      builds ??= openBuildService(store, { env, buildOutput, buildTrace: "not-printed" });
      return builds;
    },
    collect: collector(store),
    itemSigner: () => itemSigner(store.confDir),
    itemVerifier: () => (exists(`${store.confDir}/signing-key.pub`) ? itemVerifier(store.confDir) : undefined),
    addBuildLog(drvPath, contents) {
      const form = store.settings.get("compress-build-log") ? "compressed" : "plain";
      const log = openBuildLog(store.logDir, drvPath, form);
      try {
        log.write(contents);
      } finally {
        log.close();
      }
    },
    close: () => builds?.close(),
  };
}
