/** Which store a daemon serves, and what serving it for one client takes. */
import { UsageError } from "../../error.ts";
import { type Connection, serveConnection } from "../../daemon/server/serve-connection.ts";
import type { ByteString } from "../../formats/byte-string.ts";
import type { Settings } from "../../formats/settings/settings.ts";
import type { Directories } from "../../store/directories.ts";
import type { LocalStore, LocalStoreConfig } from "../../store/local-store.ts";
import { roomMaker } from "../room-maker.ts";
import { type LocalDirectories, locateStore } from "../store-location.ts";
import { daemonServices } from "./daemon-services.ts";

/** A daemon is where others find the store: it opens the one of this machine itself. @throws UsageError for a store elsewhere */
export function servedDirectories(text: ByteString, directories: Directories): LocalDirectories {
  const location = locateStore(text, directories);
  const local = location.kind === "daemon" ? locateStore("local" as ByteString, directories) : location;
  if (local.kind !== "local") throw new UsageError("a daemon serves a local store");
  return local.directories;
}

/** As `--store` takes it, whatever the current directory is. */
export function printLocalStore({ storeDir, realStoreDir, stateDir, logDir }: LocalDirectories): string {
  const parameters = { store: storeDir, real: realStoreDir, state: stateDir, log: logDir };
  const escapeBytes = (path: string) =>
    path.replaceAll(/[^A-Za-z0-9/._-]/g, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
  return `local?${Object.entries(parameters)
    .map(([name, path]) => `${name}=${escapeBytes(path)}`)
    .join("&")}`;
}

export interface ServeOptions {
  readonly directories: LocalDirectories;
  readonly settings: Settings;
  openStore(config: LocalStoreConfig): LocalStore;
  log(line: string): void;
}

const endingSignals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** Resolves when the client has left. */
export async function serveClient(connection: Connection, options: ServeOptions): Promise<void> {
  const { directories, settings, openStore, log } = options;
  const makeRoom = await roomMaker(settings);
  await serveConnection(connection, {
    storeDir: directories.storeDir,
    openStore: (reporter) => openStore({ ...directories, settings, reporter, access: "read-write", ...makeRoom }),
    async adapt(store) {
      const { makeRoom: collect } = await roomMaker(store.settings);
      const adapted: LocalStore = { ...store, makeRoom: (urgency) => collect?.(adapted, urgency) };
      return adapted;
    },
    services: (store, builderOutput) =>
      daemonServices(store, process.env, builderOutput === "lines" ? "shown" : "hidden"),
    log,
    onInterrupt(interrupt) {
      for (const signal of endingSignals) process.on(signal, interrupt);
      return () => {
        for (const signal of endingSignals) process.off(signal, interrupt);
      };
    },
  });
}
