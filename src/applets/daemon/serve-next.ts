/** A process that the daemon has started for the next client. */
import { runConnectionProcess } from "../../daemon/server/connection-process.ts";
import { settingsOf } from "../../daemon/server/hand-over.ts";
import { rehearsedConnection, rehearsedPath } from "../../daemon/server/rehearsal.ts";
import { ensureUserDirectories } from "../../daemon/server/user-directories.ts";
import type { ByteString } from "../../formats/byte-string.ts";
import type { Assignment } from "../../formats/settings/settings.ts";
import { directoriesFromEnvironment } from "../../store/directories.ts";
import { machineFacts } from "../../store/machine-facts.ts";
import { openLocalStore, openStoreInMemory } from "../../store/open-local-store.ts";
import { leaveShortLivedEnvironment } from "../../sys/own-program.ts";
import type { Io } from "../io.ts";
import { servedDirectories, serveClient } from "./served-store.ts";

/** @param store as {@link printLocalStore} writes it */
export async function serveNext(store: ByteString | undefined, io: Io): Promise<number> {
  leaveShortLivedEnvironment(process.env);
  const directories = servedDirectories(store ?? ("local" as ByteString), directoriesFromEnvironment(io.env));
  const log = (line: string) => io.err(line);
  const settingsFrom = (assignments: readonly Assignment[]) =>
    settingsOf(machineFacts(io.env, directories.confDir), assignments);
  await runConnectionProcess({
    prepare: () =>
      serveClient(rehearsedConnection(directories.storeDir), {
        directories,
        settings: settingsFrom([]),
        openStore: (config) => openStoreInMemory(config, rehearsedPath),
        log() {},
      }),
    serve: (connection, { pid, uid, user, settings }) =>
      serveClient(connection, {
        directories,
        settings: settingsFrom(settings),
        openStore(config) {
          const opened = openLocalStore(config);
          ensureUserDirectories(opened.stateDir, user, uid);
          return opened;
        },
        log: (line) => log(`pid ${pid}, user ${user}: ${line}`),
      }),
    log,
  });
  return 0;
}
