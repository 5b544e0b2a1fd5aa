/** Opening the store that the user means, wherever it is. */
import { SiloError } from "../error.ts";
import type { ByteString } from "../formats/byte-string.ts";
import { settingText } from "../formats/settings/settings.ts";
import type { StoreDir } from "../formats/store-path.ts";
import type { Directories, Environment } from "../store/directories.ts";
import type { LocalStore } from "../store/local-store.ts";
import { openLocalStore } from "../store/open-local-store.ts";
import { localStoreView, type Store } from "../store/store.ts";
import { exists } from "../sys/names.ts";
import { isSystemError } from "../sys/system-error.ts";
import { personalStoreRoot } from "./personal-store.ts";
import { roomMaker } from "./room-maker.ts";
import type { Session } from "./session.ts";
import { type LocalDirectories, locateStore, type StoreLocation } from "./store-location.ts";

/** This kind of store cannot do what was asked, or cannot be used by this program at all. */
export class StoreNotSupported extends SiloError {
  readonly code = "store-not-supported";
}

export class NoDaemon extends SiloError {
  readonly code = "no-daemon";
}

/** The caller closes it. @throws UnknownStore, StoreNotSupported, and whatever opening it throws */
export async function openStore(session: Session): Promise<Store> {
  const location = storeLocation(session);
  tellOfPersonalStore(session);
  switch (location.kind) {
    case "local":
      return localStoreView(await openLocal(session, location.directories));
    case "daemon":
      return connectToDaemon(session, { ...location, storeDir: session.directories.storeDir });
    case "remote":
      throw new StoreNotSupported(
        `cannot work on the store '${location.url}' from here: only local stores and the daemon can be; ` +
          "'nix-copy-closure' copies to and from other machines",
      );
  }
}

/**
 * Where the setting `store`, which NIX_REMOTE gives its default, points; where nothing is said and the machine has no
 * store, the user's own. @throws UnknownStore
 */
export function storeLocation({ settings, directories, io }: Session): StoreLocation {
  const text = settingText(settings, "store");
  return locateStore(personalRoot(text, io.env, directories) ?? text, directories);
}

/** Says so when it is about to be made. */
function tellOfPersonalStore({ settings, directories, io, reporter }: Session): void {
  const personal = personalRoot(settingText(settings, "store"), io.env, directories);
  if (personal === undefined || exists(personal)) return;
  const reason = `'${directories.stateDir}' does not exist`;
  reporter.message("warning", `warning: ${reason}, so silo will use '${personal}' as a chroot store`);
}

function personalRoot(text: string, env: Environment, directories: Directories): ByteString | undefined {
  return text === "" || text === "auto" ? personalStoreRoot(env, directories) : undefined;
}

/** Runs `use` on the store and closes it, whatever happens. */
export async function withStore<T>(session: Session, use: (store: Store) => T | Promise<T>): Promise<T> {
  const store = await openStore(session);
  try {
    return await use(store);
  } finally {
    store.close();
  }
}

/** For what needs the store's own database and files. @throws StoreNotSupported */
export function requireLocal(store: Store): LocalStore {
  if (store.local === undefined) {
    throw new StoreNotSupported("you don't have sufficient rights to use this command: it needs a local store");
  }
  return store.local;
}

export async function openLocal(session: Session, directories: LocalDirectories): Promise<LocalStore> {
  const { settings, reporter, flags } = session;
  const room = await roomMaker(settings);
  return openLocalStore({ ...directories, settings, reporter, access: flags.access, ...room });
}

interface DaemonLocation {
  readonly socket: string;
  readonly storeDir: StoreDir;
}

/** Its client is loaded by those who need it. */
async function connectToDaemon({ settings, reporter, flags, talk }: Session, location: DaemonLocation): Promise<Store> {
  const { openDaemonStore } = await import("../daemon/client/daemon-store.ts");
  const builderOutput = talk().form === "plain" && talk().builderOutput === "raw-lines" ? "lines" : "results";
  const options = {
    storeDir: location.storeDir,
    settings,
    reporter,
    verbosity: flags.verbosity,
    builderOutput,
  } as const;
  try {
    return openDaemonStore(location.socket, options);
  } catch (error) {
    if (!isSystemError(error, "ENOENT", "ECONNREFUSED")) throw error;
    throw new NoDaemon(`${error.message}; nobody serves it: 'silo daemon', as root, does`, { cause: error });
  }
}
