/**
 * A store in a temporary directory, opened in this process, by other processes of ours (store-driver.ts) and by stock Nix:
 * all of them find it through the same environment.
 */
import assert from "node:assert/strict";
import { type ChildProcess, type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runtime } from "#runtime";
import type { SqlValue } from "../../src/runtime/interface.ts";
import { parseStorePath, type StorePath } from "../../src/formats/store-path.ts";
import { type Directories, directoriesFromEnvironment } from "../../src/store/directories.ts";
import type { LocalStore, LocalStoreConfig } from "../../src/store/local-store.ts";
import { openLocalStore } from "../../src/store/open-local-store.ts";
import { deleteTree } from "../../src/sys/delete-tree.ts";
import { settingsOf } from "./settings-facts.ts";

export type SettingPairs = readonly (readonly [name: string, value: string])[];

export interface StoreFixture {
  /** Everything is in here: `store`, `state`, `log`, `conf`, and what the test puts there. */
  readonly dir: string;
  readonly storeDir: string;
  readonly env: Record<string, string>;
  readonly directories: Directories;
  /** What the store said: `level: text`. */
  readonly messages: string[];
  /** Closed with the fixture, unless the test has closed it. */
  open(settings?: SettingPairs, access?: LocalStoreConfig["access"]): LocalStore;
  /** The output of nix-store with these arguments, which must succeed. */
  nix(args: readonly string[], input?: Uint8Array): Buffer;
  /** As {@link nix}, whatever comes of it. */
  tryNix(args: readonly string[], input?: Uint8Array): SpawnSyncReturns<Buffer>;
  /** Runs another program of Nix. */
  tryProgram(program: string, args: readonly string[], input?: Uint8Array): SpawnSyncReturns<Buffer>;
  /** The output of store-driver.ts with these arguments, which must succeed. */
  silo(args: readonly string[], input?: Uint8Array): Buffer;
  trySilo(args: readonly string[], input?: Uint8Array): SpawnSyncReturns<Buffer>;
  /** Starts store-driver.ts; the caller waits for it or kills it. */
  startSilo(args: readonly string[]): ChildProcess;
  /** Rows of the store's database, through a connection of their own. */
  rows(sql: string): SqlValue[][];
  /** Changes the database behind everybody's back. */
  execute(sql: string): void;
  remove(): void;
}

/** Runs `use` on a fresh fixture and removes it, whatever happens. */
export function withStoreFixture<T>(use: (fixture: StoreFixture) => T): T {
  const fixture = createStoreFixture();
  let result: T;
  try {
    result = use(fixture);
  } catch (error) {
    fixture.remove();
    throw error;
  }
  if (result instanceof Promise) return result.finally(() => fixture.remove()) as T;
  fixture.remove();
  return result;
}

/** @param dir where the fixture is made, for another file system than the one of temporary files */
export function createStoreFixture(dir: string = realpathSync(tmpdir())): StoreFixture {
  return fixtureAt(mkdtempSync(join(dir, "silo-store-")));
}

/** A fixture in a directory that is there. */
export function fixtureAt(dir: string): StoreFixture {
  const storeDir = join(dir, "store");
  mkdirSync(join(dir, "conf"), { recursive: true });
  writeFileSync(join(dir, "conf", "nix.conf"), "build-users-group =\n");
  const env = storeEnvironment(dir);
  const directories = directoriesFromEnvironment(env);
  const messages: string[] = [];
  const opened: LocalStore[] = [];

  const tryProgram: StoreFixture["tryProgram"] = (program, args, input) => {
    const result = spawnSync(program, args, { env, input: input ?? "", maxBuffer: 1 << 30 });
    if (result.error !== undefined) throw result.error;
    return result;
  };
  const tryNix: StoreFixture["tryNix"] = (args, input) => tryProgram("nix-store", args, input);
  const trySilo: StoreFixture["trySilo"] = (args, input) => {
    const [program, ...rest] = driverCommand(args);
    return spawnSync(program!, rest, { env, input: input ?? "", maxBuffer: 1 << 30 });
  };
  const connect = <T>(use: (db: ReturnType<typeof runtime.openDatabase>) => T): T => {
    const db = runtime.openDatabase(`${directories.dbDir}/db.sqlite`, "read-write");
    try {
      return use(db);
    } finally {
      db.close();
    }
  };

  return {
    dir,
    storeDir,
    env,
    directories,
    messages,
    open(settings = [], access = "read-write") {
      const store = openLocalStore({
        ...directories,
        realStoreDir: storeDir,
        settings: settingsOf(settings),
        reporter: {
          message: (level, text) => void messages.push(`${level}: ${text}`),
          start: () => ({ result() {}, stop() {} }),
        },
        access,
      });
      opened.push(store);
      return store;
    },
    tryProgram,
    tryNix,
    nix: (args, input) => successful(tryNix(args, input)),
    trySilo,
    silo: (args, input) => successful(trySilo(args, input)),
    startSilo(args) {
      const [program, ...rest] = driverCommand(args);
      return spawn(program!, rest, { env, stdio: ["pipe", "pipe", "inherit"] });
    },
    rows: (sql) => connect((db) => db.prepare(sql).rows()),
    execute: (sql) => connect((db) => db.exec(sql)),
    remove() {
      for (const store of opened.splice(0)) store.close();
      deleteTree(dir);
    },
  };
}

function successful(result: SpawnSyncReturns<Buffer>): Buffer {
  assert.equal(result.status, 0, String(result.stderr));
  return result.stdout;
}

/** The environment in which every program uses the store in `dir`. */
export function storeEnvironment(dir: string): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "/usr/bin:/bin",
    HOME: dir,
    NIX_STORE_DIR: join(dir, "store"),
    NIX_STATE_DIR: join(dir, "state"),
    NIX_LOG_DIR: join(dir, "log"),
    NIX_CONF_DIR: join(dir, "conf"),
    NIX_USER_CONF_FILES: "",
  };
}

/** The command line that runs store-driver.ts on the runtime that the test runs on. */
export function driverCommand(args: readonly string[]): string[] {
  const script = new URL("store-driver.ts", import.meta.url).pathname;
  const runner = runtime.name === "deno" ? [process.execPath, "run", "-A", "--no-check"] : [process.execPath];
  return [...runner, script, ...args];
}

/** The store path that a program printed, as its base name. */
export function printedPath({ storeDir }: StoreFixture, output: Buffer): StorePath {
  const line = output.toString("latin1").trim();
  assert(line.startsWith(`${storeDir}/`), `not in the store: ${line}`);
  return parseStorePath(line.slice(storeDir.length + 1));
}
