/**
 * What the daemon has the other services do, put together. Each is loaded by the first request that needs it: most connections only ask, and
 * a process that waits for one should cost little.
 */
import type { DaemonServices } from "../../daemon/server/session.ts";
import type { BuildService } from "../../store/build-service.ts";
import type { Environment } from "../../store/directories.ts";
import type { LocalStore } from "../../store/local-store.ts";
import { exists } from "../../sys/names.ts";
import type { OpenBuildService } from "../build-service.ts";
import { itemSigner, itemVerifier } from "../nix-store/signing-key.ts";

/** @param buildOutput whether the client sees what builders print as it comes, or only the end of what has failed */
export function daemonServices(store: LocalStore, env: Environment, buildOutput: "shown" | "hidden"): DaemonServices {
  let opened: Promise<OpenBuildService> | undefined;
  let builds: OpenBuildService | undefined;

  function openBuilds(): Promise<OpenBuildService> {
    opened ??= import("../build-service.ts").then(({ openBuildService }) => {
      const failureLog = buildOutput === "shown" ? "none" : "nix log"; // clients that see no lines are those of Nix 2
      builds = openBuildService(store, { env, failureLog, buildTrace: "not-printed" });
      return builds;
    });
    return opened;
  }

  const openCollector = async () => (await import("../../gc/collector.ts")).collector(store);

  return {
    build: lazily(openBuilds),
    collect: {
      findRoots: async () => (await openCollector()).findRoots(),
      collect: async (options) => (await openCollector()).collect(options),
    },
    itemSigner: () => itemSigner(store.confDir),
    itemVerifier: () => (exists(`${store.confDir}/signing-key.pub`) ? itemVerifier(store.confDir) : undefined),
    async addBuildLog(drvPath, contents) {
      const { openBuildLog } = await import("../../build/build-log.ts");
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

function lazily(open: () => Promise<BuildService>): BuildService {
  return {
    buildPaths: async (...args) => (await open()).buildPaths(...args),
    buildPathsWithResults: async (...args) => (await open()).buildPathsWithResults(...args),
    buildDerivation: async (...args) => (await open()).buildDerivation(...args),
    ensurePath: async (...args) => (await open()).ensurePath(...args),
    repairPath: async (...args) => (await open()).repairPath(...args),
    queryMissing: async (...args) => (await open()).queryMissing(...args),
    querySubstitutablePaths: async (...args) => (await open()).querySubstitutablePaths(...args),
    querySubstitutablePathInfos: async (...args) => (await open()).querySubstitutablePathInfos(...args),
  };
}
