/**
 * Runs builders through the runner as the scheduler does, in a temporary store of their own. The builder is a shell
 * script for busybox, statically linked, so that it needs no libraries.
 */
import { chmodSync, chownSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builderRunner, type RunnerOptions } from "../../src/sandbox/run-builder.ts";
import type { ByteString } from "../../src/formats/byte-string.ts";
import { parseStoreDir, parseStorePath, type StorePath } from "../../src/formats/store-path.ts";
import { deleteTree } from "../../src/sys/delete-tree.ts";
import type {
  BuilderExit,
  BuilderProgram,
  BuilderSpec,
  BuildUser,
  Isolation,
  RunningBuilder,
} from "../../src/store/builder-runner.ts";

export const busybox = "/bin/busybox";
type Sandbox = Extract<Isolation, { kind: "sandbox" }>;

export interface Case {
  readonly isolation: "sandbox" | "none";
  readonly script?: string;
  readonly program?: BuilderProgram;
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: BuildUser;
  readonly sandbox?: Partial<Sandbox>;
  readonly spec?: Partial<BuilderSpec>;
  readonly runner?: Partial<RunnerOptions>;
}

export interface Outcome {
  readonly exit: BuilderExit;
  readonly log: string;
  readonly warnings: readonly string[];
}

/** A store directory and what is below it, removed by `remove`. */
export interface TestStore {
  readonly dir: string;
  readonly storeDir: string;
  readonly output: StorePath;
  /** `<store>/<output>` */
  readonly out: string;
  start(what: Case, onLog?: (text: string) => void): RunningBuilder & { readonly outcome: Promise<Outcome> };
  run(what: Case): Promise<Outcome>;
  remove(): void;
}

let builds = 0;

export function testStore(): TestStore {
  const dir = mkdtempSync(join(tmpdir(), "silo-sandbox-"));
  const storeDir = join(dir, "store");
  mkdirSync(storeDir);
  chmodSync(dir, 0o755);
  chmodSync(storeDir, 0o1777); // for build users
  const output = parseStorePath("00000000000000000000000000000000-out");
  const out = join(storeDir, output);

  function start(what: Case, onLog: (text: string) => void = () => {}) {
    const buildDir = join(dir, `build-${builds++}`);
    mkdirSync(buildDir, { mode: 0o700 });
    if (what.user !== undefined) chownSync(buildDir, what.user.uid, what.user.gid);
    const warnings: string[] = [];
    let log = "";
    const runner = builderRunner({ warn: (text) => warnings.push(text), ...what.runner });
    const running = runner(specOf(what, buildDir), (bytes) => {
      const text = Buffer.from(bytes).toString("latin1");
      log += text;
      onLog(text);
    });
    const outcome = running.exited.then((exit) => ({ exit, log, warnings }));
    return { pid: running.pid, exited: running.exited, kill: () => running.kill(), outcome };
  }

  function specOf(what: Case, buildDir: string): BuilderSpec {
    const inside = what.isolation === "sandbox" ? "/build" : buildDir;
    const env = new Map<ByteString, ByteString>();
    const set = (name: string, value: string) => env.set(name as ByteString, value as ByteString);
    set("PATH", "/path-not-set");
    set("NIX_BUILD_TOP", inside);
    set("out", out);
    for (const [name, value] of Object.entries(what.env ?? {})) set(name, value);
    const args = ["sh", "-c", what.script ?? "true"] as string[] as ByteString[];
    return {
      drvPath: parseStorePath("11111111111111111111111111111111-test.drv"),
      program: what.program ?? { kind: "executable", path: busybox as ByteString, args },
      env,
      buildDir,
      system: process.arch === "arm64" ? "aarch64-linux" : "x86_64-linux",
      impersonateLinux26: false,
      user: what.user,
      isolation: what.isolation === "none" ? { kind: "none" } : { ...sandboxOf(buildDir), ...what.sandbox },
      filterSyscalls: true,
      allowNewPrivileges: false,
      ...what.spec,
    };
  }

  function sandboxOf(buildDir: string): Sandbox {
    return {
      kind: "sandbox",
      rootDir: `${storeDir}/${buildDir.slice(buildDir.lastIndexOf("/") + 1)}.drv.chroot`,
      buildDirInside: "/build",
      network: "private",
      storeDir: parseStoreDir(storeDir),
      realStoreDir: storeDir,
      inputs: [],
      outputs: [output],
      extraPaths: [{ target: busybox, source: busybox, ifMissing: "fail" }],
      devShmSize: "50%",
      kvm: "hide",
      ifImpossible: "fail",
    };
  }

  return {
    dir,
    storeDir,
    output,
    out,
    start,
    run: (what) => start(what).outcome,
    remove: () => void deleteTree(dir), // outputs may be read-only
  };
}

export const isRoot = process.geteuid?.() === 0;

/** A user that nothing else on the machine runs as. */
export const buildUser: BuildUser = { name: "silotest", uid: 31_931, gid: 31_930, supplementaryGids: [] };
