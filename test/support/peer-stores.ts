/**
 * One store directory, used by stock Nix and by silo one after the other: paths, and so everything that is built, have to
 * come out the same.
 */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, realpathSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runtime } from "#runtime";
import type { SqlValue } from "../../src/runtime/interface.ts";
import { deleteTree } from "../../src/sys/delete-tree.ts";
import { siloProgram } from "./silo-binary.ts";
import { storeEnvironment } from "./store-fixture.ts";

export type Maker = "nix" | "silo";

export interface PeerStore {
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
  /** Paths of the derivations of an expression's attributes, by stock nix-instantiate; all attributes without names. */
  instantiate(expression: string, ...attributes: string[]): string[];
  run(maker: Maker, args: readonly string[], env?: Readonly<Record<string, string>>): PeerRun;
  /** What the database says, without times and row numbers. */
  rows(): Record<string, SqlValue[][]>;
}

export interface PeerRun {
  readonly status: number;
  readonly stdout: string;
  /** Without escape sequences. */
  readonly stderr: string;
}

export const busybox = "/bin/busybox";
export const skipWithoutBusybox: string | false = existsSync(busybox) ? false : `${busybox} is not there`;

/** The function `mk` of the expressions: a derivation whose builder is a shell script. */
export const makeDerivation = `
  mk = name: script: extra: derivation ({ inherit name; system = "x86_64-linux"; builder = "${busybox}"; args = [ "sh" "-c" script ]; } // extra);
`;

/** Runs `use` for each maker on a store of its own at the same place; what it returns, in that order. */
export function withPeers<T>(use: (store: PeerStore, maker: Maker) => T, conf = ""): [nix: T, silo: T] {
  const base = mkdtempSync(join(realpathSync(tmpdir()), "silo-peer-"));
  chmodSync(base, 0o755); // build users have to get through
  const results: T[] = [];
  try {
    for (const maker of ["nix", "silo"] as const) {
      const dir = join(base, "x");
      results.push(use(openPeerStore(dir, conf), maker));
      deleteTree(dir);
    }
  } finally {
    deleteTree(base);
  }
  return results as [T, T];
}

/** Runs `use` with a store, which is removed afterwards. */
export async function withPeerStore(use: (store: PeerStore) => void | Promise<void>, conf = ""): Promise<void> {
  const dir = mkdtempSync(join(realpathSync(tmpdir()), "silo-build-"));
  try {
    await use(openPeerStore(dir, conf));
  } finally {
    deleteTree(dir);
  }
}

export function openPeerStore(dir: string, conf: string): PeerStore {
  mkdirSync(join(dir, "conf"), { recursive: true });
  mkdirSync(join(dir, "tmp"));
  writeFileSync(
    join(dir, "conf", "nix.conf"),
    `build-users-group =\nsubstituters =\nsandbox = false\nsandbox-paths = ${busybox}\nbuild-poll-interval = 1\n${conf}`,
  );
  const env: Record<string, string> = { ...storeEnvironment(dir), TMPDIR: join(dir, "tmp") };
  const spawn = (program: string, args: readonly string[], more: Readonly<Record<string, string>> = {}) => {
    const result = spawnSync(program, args, { env: { ...env, ...more }, cwd: dir, maxBuffer: 1 << 28 });
    if (result.error !== undefined) throw result.error;
    return result;
  };
  return {
    dir,
    env,
    instantiate(expression, ...attributes) {
      const file = join(dir, "default.nix");
      writeFileSync(file, expression);
      const result = spawn("nix-instantiate", [file, ...attributes.flatMap((each) => ["-A", each])]);
      if (result.status !== 0) throw new Error(result.stderr.toString());
      return result.stdout.toString("latin1").trim().split("\n");
    },
    run(maker, args, more) {
      const program = maker === "silo" ? siloProgram("nix-store") : "nix-store";
      const result = spawn(program, args, more);
      return {
        status: result.status ?? 128,
        stdout: result.stdout.toString("latin1"),
        stderr: result.stderr.toString("latin1").replace(/\x1b\[[0-9;]*m/g, ""),
      };
    },
    rows() {
      const db = runtime.openDatabase(join(dir, "state/db/db.sqlite"), "read-write");
      try {
        const rows = (sql: string) => db.prepare(sql).rows();
        return {
          paths: rows("select path, hash, deriver, narSize, ultimate, sigs, ca from ValidPaths order by path"),
          references: rows(
            "select a.path, b.path as reference from Refs join ValidPaths a on a.id = referrer join ValidPaths b on b.id = reference order by 1, 2",
          ),
          outputs: rows(
            "select v.path as drv, d.id, d.path from DerivationOutputs d join ValidPaths v on v.id = d.drv order by 1, 2",
          ),
        };
      } finally {
        db.close();
      }
    },
  };
}
