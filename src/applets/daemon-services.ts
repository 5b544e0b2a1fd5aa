/** What the daemon has the other services do, put together. */
import { SiloError } from "../error.ts";
import type { DaemonServices } from "../daemon/server/session.ts";
import type { LocalStore } from "../store/local-store.ts";
import { exists } from "../sys/names.ts";
import { itemSigner, itemVerifier } from "./nix-store/signing-key.ts";

class NotAvailable extends SiloError {
  readonly code = "not-available";
}

export function daemonServices(store: LocalStore): DaemonServices {
  const refuse = (): never => {
    throw new NotAvailable("this daemon cannot do that");
  };
  return {
    build: {
      buildPaths: async () => refuse(),
      buildPathsWithResults: async () => refuse(),
      buildDerivation: async () => refuse(),
      ensurePath: async () => refuse(),
      repairPath: async () => refuse(),
      queryMissing: async () => refuse(),
      querySubstitutablePaths: async () => new Set(),
      querySubstitutablePathInfos: async () => new Map(),
    },
    collect: { findRoots: refuse, collect: refuse },
    itemSigner: () => itemSigner(store.confDir),
    itemVerifier: () => (exists(`${store.confDir}/signing-key.pub`) ? itemVerifier(store.confDir) : undefined),
    addBuildLog: refuse,
  };
}
