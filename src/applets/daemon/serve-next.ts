/** A process that the daemon has started for the next client. */
import { runConnectionProcess } from "../../daemon/server/connection-process.ts";
import { settingsOf } from "../../daemon/server/hand-over.ts";
import { ensureUserDirectories } from "../../daemon/server/user-directories.ts";
import type { ByteString } from "../../formats/byte-string.ts";
import { directoriesFromEnvironment } from "../../store/directories.ts";
import { machineFacts } from "../../store/machine-facts.ts";
import type { Io } from "../io.ts";
import { servedDirectories, serveClient } from "./served-store.ts";

/** @param store as {@link printLocalStore} writes it */
export async function serveNext(store: ByteString | undefined, io: Io): Promise<number> {
  const directories = servedDirectories(store ?? ("local" as ByteString), directoriesFromEnvironment(io.env));
  const log = (line: string) => io.err(line);
  await runConnectionProcess((connection, { pid, uid, user, settings }) => {
    return serveClient(connection, {
      directories,
      settings: settingsOf(machineFacts(io.env, directories.confDir), settings),
      log: (line) => log(`pid ${pid}, user ${user}: ${line}`),
      onOpen: (opened) => ensureUserDirectories(opened.stateDir, user, uid),
    });
  }, log);
  return 0;
}
