/**
 * Substituters that ssh reaches: those of the setting `substituters`, and Nix 1.7's `ssh-substituter-hosts`, of which only
 * the first counts. What that takes is loaded when they are first asked.
 */
import { toText } from "../formats/byte-string.ts";
import type { StorePath } from "../formats/store-path.ts";
import { isSshStore, parseStoreUri, type RemoteStoreAddress } from "../remote/store-uri.ts";
import type { Environment } from "../store/directories.ts";
import type { LocalStore } from "../store/local-store.ts";
import type { Substituter } from "../store/substituter.ts";

/** @throws BadStoreUri */
export function remoteSubstituters(store: LocalStore, env: Environment): Substituter[] {
  const { settings } = store;
  const addresses = settings.get("substituters").map(toText).filter(isSshStore).map(parseStoreUri);
  const [host] = settings.get("use-ssh-substituter") ? settings.get("ssh-substituter-hosts") : [];
  if (host !== undefined) addresses.push(oldSubstituterAddress(toText(host)));
  return addresses.map((address) => lazySubstituter(store, address, env));
}

/** Nix 1.7 believes the host without signatures, and does not write there. */
export function oldSubstituterAddress(host: string): RemoteStoreAddress {
  const address = parseStoreUri(isSshStore(host) ? host : `ssh://${host}`);
  return { ...address, program: address.program.replace(/ --write$/, ""), trusted: true };
}

function lazySubstituter(store: LocalStore, address: RemoteStoreAddress, env: Environment): Substituter {
  const { settings, reporter, storeDir } = store;
  let opened: Promise<Substituter> | undefined;
  const open = () => {
    opened ??= import("../remote/ssh-substituter.ts").then(({ sshSubstituter }) =>
      sshSubstituter(address, storeDir, {
        env,
        reporter,
        connectTimeoutMs: settings.get("connect-timeout") * 1000,
        stalledTimeoutMs: settings.get("stalled-download-timeout") * 1000,
        attempts: 2,
      }),
    );
    return opened;
  };
  return {
    name: address.name,
    priority: address.priority ?? 0,
    trusted: address.trusted,
    have: async (paths: readonly StorePath[]) => (await open()).have(paths),
    info: async (paths: readonly StorePath[]) => (await open()).info(paths),
    fetch: async (path, visitor, signal) => (await open()).fetch(path, visitor, signal),
    close: () => void opened?.then((substituter) => substituter.close()),
  };
}
