/**
 * Temporary stores for tests of programs: every program of stock Nix and of silo finds the store through the environment.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runtime } from "#runtime";
import type { SqlValue } from "../../src/runtime/interface.ts";
import { deleteTree } from "../../src/sys/delete-tree.ts";
import { siloProgram } from "./silo-binary.ts";
import { storeEnvironment } from "./store-fixture.ts";

export type Maker = "nix" | "silo";

export interface RunOptions {
  readonly input?: Uint8Array | string;
  readonly cwd?: string;
  /** In front of the program, such as `setpriv …`. */
  readonly through?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunResult {
  /** 128 and the number of the signal for one that was killed, as shells have it. */
  readonly status: number;
  readonly stdout: Buffer;
  /** Bytes, as latin1. */
  readonly stderr: string;
}

export interface TempStore {
  /** Everything is in here, and what the test puts there. */
  readonly dir: string;
  readonly storeDir: string;
  readonly stateDir: string;
  readonly env: Readonly<Record<string, string>>;
  /** Runs a program such as `nix-store`, whatever comes of it. */
  run(maker: Maker, program: string, args: readonly (string | Buffer)[], options?: RunOptions): RunResult;
  /** The output of nix-store, which must succeed. */
  output(maker: Maker, args: readonly string[], options?: RunOptions): string;
  rows(sql: string): SqlValue[][];
  remove(): void;
}

/**
 * `own-directory`: files are where their paths say. `chroot`: paths are in /nix/store and files below the temporary
 * directory, so that two stores can have the same paths.
 */
export type TempStoreKind = "own-directory" | "chroot";

export function createTempStore(kind: TempStoreKind = "own-directory"): TempStore {
  const dir = mkdtempSync(join(realpathSync(tmpdir()), "silo-cli-"));
  mkdirSync(join(dir, "conf"));
  writeFileSync(join(dir, "conf", "nix.conf"), "build-users-group =\nsubstituters =\nsandbox = false\n");
  const root = join(dir, "root");
  const own = storeEnvironment(dir);
  const env =
    kind === "own-directory"
      ? own
      : {
          PATH: own["PATH"]!,
          HOME: dir,
          NIX_CONF_DIR: own["NIX_CONF_DIR"]!,
          NIX_USER_CONF_FILES: "",
          NIX_REMOTE: root,
        };
  const stateDir = kind === "own-directory" ? own["NIX_STATE_DIR"]! : join(root, "nix/var/nix");

  const run: TempStore["run"] = (maker, program, args, options = {}) => {
    const words = [...(options.through ?? []), maker === "silo" ? siloProgram(program) : program, ...args];
    const [file, ...rest] = words.every((word) => typeof word === "string") ? words : throughShell(words);
    const result = spawnSync(file!, rest, {
      env: { ...env, ...options.env },
      cwd: options.cwd ?? dir,
      input: options.input ?? "",
      maxBuffer: 1 << 28,
    });
    if (result.error !== undefined) throw result.error;
    return { status: result.status ?? 128, stdout: result.stdout, stderr: result.stderr.toString("latin1") };
  };
  return {
    dir,
    storeDir: kind === "own-directory" ? own["NIX_STORE_DIR"]! : "/nix/store",
    stateDir,
    env,
    run,
    output(maker, args, options) {
      const { status, stdout, stderr } = run(maker, "nix-store", args, options);
      assert.equal(status, 0, `${maker}: nix-store ${args.join(" ")}: ${stderr}`);
      return stdout.toString("latin1");
    },
    rows(sql) {
      const db = runtime.openDatabase(`${stateDir}/db/db.sqlite`, "read-write");
      try {
        return db.prepare(sql).rows();
      } finally {
        db.close();
      }
    },
    remove: () => deleteTree(dir),
  };
}

/** Arguments of child processes are text: bytes have to be written out for a shell. */
function throughShell(words: readonly (string | Buffer)[]): string[] {
  const quoted = words.map((word) => `$'${Buffer.from(word).toString("hex").replaceAll(/../g, "\\x$&")}'`);
  return ["bash", "-c", `exec ${quoted.join(" ")}`];
}

/** Runs `use` on fresh stores and removes them, whatever happens. */
export function withTempStores(kinds: readonly TempStoreKind[], use: (...stores: TempStore[]) => void): void {
  const stores = kinds.map(createTempStore);
  try {
    use(...stores);
  } finally {
    for (const store of stores) store.remove();
  }
}

/** What the database says, without times and row numbers. */
export function databaseContents(store: TempStore): Record<string, SqlValue[][]> {
  return {
    paths: store.rows("select path, hash, deriver, narSize, ultimate, sigs, ca from ValidPaths order by path"),
    references: store.rows(
      "select a.path, b.path from Refs join ValidPaths a on a.id = referrer join ValidPaths b on b.id = reference order by 1, 2",
    ),
    outputs: store.rows(
      "select v.path, d.id, d.path from DerivationOutputs d join ValidPaths v on v.id = d.drv order by 1, 2",
    ),
  };
}
