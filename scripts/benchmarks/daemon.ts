/**
 * scripts/bench daemon: the same stock client with silo's daemon and with Nix's. Prints milliseconds of the client and the ratio.
 *   --quick takes small inputs, --runs N more or less than five
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { siloProgram } from "../../test/support/silo-binary.ts";
import { makeManyFiles, makeRegistration } from "./inputs.ts";
import { median } from "./measure.ts";

const args = process.argv.slice(2);
const quick = args.includes("--quick");
const runs = args.includes("--runs") ? Number(args[args.indexOf("--runs") + 1]) : 5;
const sizes = quick
  ? { closure: 1000, connections: 10, files: 2000, builds: 20 }
  : { closure: 10_000, connections: 50, files: 20_000, builds: 200 };

const sides = ["silo", "nix"] as const;
type Side = (typeof sides)[number];
const daemons: Record<Side, string> = { silo: siloProgram("nix-daemon"), nix: "nix-daemon" };

const root = mkdtempSync(`${existsSync("/dev/shm") ? "/dev/shm" : "/tmp"}/silo-bench-`);

function environment(side: Side): Record<string, string> {
  const own = `${root}/${side}`;
  return {
    PATH: process.env["PATH"] ?? "/usr/bin:/bin",
    HOME: own,
    NIX_STORE_DIR: `${own}/store`,
    NIX_STATE_DIR: `${own}/state`,
    NIX_LOG_DIR: `${own}/log`,
    NIX_CONF_DIR: `${own}/conf`,
    NIX_USER_CONF_FILES: "",
  };
}

function client(side: Side, program: string, args: readonly string[], input?: string, remote = "daemon"): string {
  const env = { ...environment(side), NIX_REMOTE: remote };
  const result = spawnSync(program, args, { env, input: input ?? "", maxBuffer: 1 << 30 });
  if (result.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${result.stderr}`);
  return result.stdout.toString();
}

interface Case {
  readonly name: string;
  /** Once for each side; what `run` is given. */
  prepare(side: Side): string;
  run(side: Side, prepared: string, round: number): void;
  /** Brings back the state before the run, which is not part of the time. */
  undo?(side: Side, prepared: string): void;
}

const files = `${root}/files`;

const cases: readonly Case[] = [
  {
    name: `closure of ${sizes.closure} paths`,
    prepare(side) {
      const { text, top } = makeRegistration(`${root}/${side}/store`, sizes.closure);
      client(side, "nix-store", ["--load-db"], text, "local");
      return top;
    },
    run: (side, top) => void client(side, "nix-store", ["-qR", top]),
  },
  {
    name: `${sizes.connections} connections in a row`,
    prepare(side) {
      writeFileSync(`${root}/${side}/hello`, "hello\n");
      return client(side, "nix-store", ["--add", `${root}/${side}/hello`]).trim();
    },
    run(side, path) {
      for (let i = 0; i < sizes.connections; i++) client(side, "nix-store", ["-q", "--hash", path]);
    },
  },
  {
    name: `add of ${sizes.files} files`,
    prepare() {
      if (!existsSync(files)) makeManyFiles(files, sizes.files, 0);
      return files;
    },
    run: (side, source) => void client(side, "nix-store", ["--add", source]),
    undo(side, source) {
      const added = client(side, "nix-store", ["--add", source]).trim(); // its path; it is there already
      client(side, "nix-store", ["--delete", added]);
    },
  },
  {
    name: `build of ${sizes.builds} derivations`,
    prepare(side) {
      const file = `${root}/${side}/builds.nix`;
      writeFileSync(
        file,
        `{ round }: builtins.genList (i: derivation { name = "b-\${round}-\${toString i}"; system = builtins.currentSystem;
          builder = "/bin/sh"; args = [ "-c" "echo \${toString i} > $out" ]; }) ${sizes.builds}`,
      );
      return file;
    },
    run: (side, file, round) =>
      void client(side, "nix-build", ["--no-out-link", "-j2", "--argstr", "round", `${side}${round}`, file]),
  },
];

async function start(side: Side): Promise<() => void> {
  mkdirSync(`${root}/${side}/conf`, { recursive: true });
  writeFileSync(`${root}/${side}/conf/nix.conf`, "build-users-group =\nsubstituters =\nsandbox = false\n");
  client(side, "nix-store", ["--init"], "", "local");
  const daemon = spawn(daemons[side], [], { env: environment(side), stdio: "ignore" });
  while (!(await answers(`${root}/${side}/state/daemon-socket/socket`)))
    await new Promise((resolve) => setTimeout(resolve, 20));
  return () => void daemon.kill();
}

function answers(path: string): Promise<boolean> {
  if (!existsSync(path)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on("error", () => resolve(false));
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

async function main(): Promise<void> {
  const stops: (() => void)[] = [];
  try {
    for (const side of sides) stops.push(await start(side));
    console.log(`${"with the daemon of".padEnd(32)}${"silo".padStart(9)}${"nix".padStart(9)}${"ratio".padStart(7)}`);
    for (const { name, prepare, run, undo } of cases) {
      const prepared = new Map(sides.map((side) => [side, prepare(side)]));
      const taken: Record<Side, number[]> = { silo: [], nix: [] };
      for (let round = 0; round <= runs; round++) {
        for (const side of round % 2 === 0 ? sides : [...sides].reverse()) {
          const begin = performance.now();
          run(side, prepared.get(side)!, round);
          if (round > 0) taken[side].push(performance.now() - begin); // the first one warms the caches
          undo?.(side, prepared.get(side)!);
        }
      }
      const [silo, nix] = [median(taken.silo), median(taken.nix)];
      const row = [silo.toFixed(0).padStart(9), nix.toFixed(0).padStart(9), (silo / nix).toFixed(2).padStart(7)];
      console.log(name.padEnd(32) + row.join(""));
    }
  } finally {
    for (const stop of stops) stop();
    execFileSync("chmod", ["-R", "u+w", root]);
    rmSync(root, { recursive: true, force: true });
  }
}

await main();
