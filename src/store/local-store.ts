/** The store on this machine, as the functions of this folder take it. {@link openLocalStore} makes it. */
import type { ModuloContext } from "../formats/derivation/hash-modulo.ts";
import type { Settings } from "../formats/settings/settings.ts";
import { printStorePath, type StoreDir, type StorePath } from "../formats/store-path.ts";
import type { Reporter } from "./reporter.ts";
import type { QueryContext } from "./queries.ts";
import type { TempRoots } from "./temp-roots.ts";

export interface LocalStoreConfig {
  /** The logical store directory. */
  readonly storeDir: StoreDir;
  readonly realStoreDir: string;
  readonly stateDir: string;
  readonly dbDir: string;
  readonly logDir: string;
  readonly confDir: string;
  readonly settings: Settings;
  readonly reporter: Reporter;
  /** `read-only` opens without making or changing anything. */
  readonly access: "read-write" | "read-only";
  /** Collects garbage when the disk fills up; without it nobody does. */
  readonly makeRoom?: MakeRoom;
}

/**
 * Told before something is added or built: collects garbage if so little space is left that the settings `min-free` and
 * `max-free` want it. `wait` returns when that is done; `in-background` at once, for those who must not block.
 */
export type MakeRoom = (store: LocalStore, urgency: "wait" | "in-background") => void;

export interface LocalStore extends QueryContext {
  /** Where the store's files are; differs from the logical `storeDir` in a chroot store. */
  readonly realStoreDir: string;
  readonly stateDir: string;
  readonly logDir: string;
  readonly confDir: string;
  readonly settings: Settings;
  /** `read-only` when the state may not be written: queries work, nothing else does. */
  readonly access: "read-write" | "read-only";
  readonly tempRoots: TempRoots;
  /** Memory of derivations' hashes, for output paths. */
  readonly modulo: ModuloContext;
  readonly reporter: Reporter;
  makeRoom(urgency: "wait" | "in-background"): void;
  close(): void;
}

/** The file that a store path is on disk. */
export function realPath(store: LocalStore, path: StorePath): string {
  return `${store.realStoreDir}/${path}`;
}

/** The path as people and the database see it. */
export function showPath(store: QueryContext, path: StorePath): string {
  return printStorePath(store.storeDir, path);
}
