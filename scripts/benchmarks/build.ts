/**
 * scripts/bench build: trivial derivations with two jobs, unsandboxed and sandboxed, and a graph that is built already. Prints
 * milliseconds, the ratio, and the peak of silo's memory for a graph of 20,000.
 *   --quick takes small inputs, --runs N more or less than three
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { siloProgram } from "../../test/support/silo-binary.ts";
import { type Command, measure, measurePeakKib, median } from "./measure.ts";

const args = process.argv.slice(2);
const quick = args.includes("--quick");
const runs = args.includes("--runs") ? Number(args[args.indexOf("--runs") + 1]) : 3;
const sizes = quick
  ? { few: 20, many: 100, valid: 200, huge: 2000 }
  : { few: 200, many: 1000, valid: 2000, huge: 20_000 };

const sides = ["silo", "nix"] as const;
type Side = (typeof sides)[number];
const programs: Record<Side, string> = {
  silo: siloProgram("nix-store"),
  nix: execFileSync("sh", ["-c", "command -v nix-store"]).toString().trim(),
};

type Sandbox = "unsandboxed" | "sandboxed";

/** In memory where we may mount; not below /dev/shm, which builders in a sandbox have one of their own of. */
const root = mkdtempSync("/tmp/silo-bench-");
const inMemory = spawnSync("mount", ["-t", "tmpfs", "silo-bench", root], { stdio: "ignore" }).status === 0;

/** A store of its own for each benchmark and side, with the bits of the system that a shell needs in the sandbox. */
function makeStore(name: string, side: Side, sandbox: Sandbox): Record<string, string> {
  const own = `${root}/${name}-${side}`;
  mkdirSync(`${own}/conf`, { recursive: true });
  const shell = "/bin /lib /lib64 /usr";
  writeFileSync(
    `${own}/conf/nix.conf`,
    `build-users-group =\nsubstituters =\nsandbox = ${sandbox === "sandboxed"}\nsandbox-paths = ${shell}\n`,
  );
  return {
    PATH: "/usr/bin:/bin",
    HOME: own,
    BENCH_DIR: own,
    NIX_STORE_DIR: `${own}/store`,
    NIX_STATE_DIR: `${own}/state`,
    NIX_LOG_DIR: `${own}/log`,
    NIX_CONF_DIR: `${own}/conf`,
    NIX_USER_CONF_FILES: "",
  };
}

/** Each of `count` derivations refers to up to `inputs` before it; the last needs all, one way or another. @returns its path */
function instantiate(env: Record<string, string>, count: number, inputs: number, round: string): string {
  const file = `${env["HOME"]}/graph.nix`;
  writeFileSync(
    file,
    `
    let
      make = name: inputs: derivation {
        inherit name inputs;
        system = builtins.currentSystem;
        builder = "/bin/sh";
        args = [ "-c" "echo \${name} > $out" ];
      };
      graph = builtins.foldl' (before: i:
        let each = make "d-${round}-\${toString i}" (take ${inputs} before);
        in builtins.seq each.drvPath ([ each ] ++ ${inputs === 0 ? "before" : `take ${inputs} before`})) [] (builtins.genList (i: i) ${count});
      take = n: list: builtins.genList (builtins.elemAt list) (if builtins.length list < n then builtins.length list else n);
    in ${inputs === 0 ? `make "all-${round}" graph` : "builtins.head graph"}
  `,
  );
  return execFileSync(`${dirname(programs.nix)}/nix-instantiate`, ["--quiet", file], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  })
    .toString()
    .trim();
}

function realise(side: Side, env: Record<string, string>, derivation: string, more: readonly string[]): Command {
  return { argv: [programs[side], "--realise", "--quiet", "-j2", derivation, ...more], env };
}

function report(name: string, taken: Record<Side, number[]>, peakKib: number | undefined): void {
  const [silo, nix] = [median(taken.silo), median(taken.nix)];
  const times = [silo.toFixed(0).padStart(9), nix.toFixed(0).padStart(9), (silo / nix).toFixed(2).padStart(7)];
  const peak = peakKib === undefined ? "" : `${(peakKib / 1024).toFixed(0).padStart(6)} MiB`;
  console.log(name.padEnd(36) + times.join("") + peak);
}

function benchBuilds(count: number, sandbox: Sandbox): void {
  const taken: Record<Side, number[]> = { silo: [], nix: [] };
  const stores = new Map(sides.map((side) => [side, makeStore(`${count}-${sandbox}`, side, sandbox)]));
  for (let round = 0; round < runs; round++) {
    for (const side of round % 2 === 0 ? sides : [...sides].reverse()) {
      const env = stores.get(side)!;
      const derivation = instantiate(env, count, 0, `${round}`);
      taken[side].push(measure(realise(side, env, derivation, [])).wallMs);
    }
  }
  report(`${count} builds, ${sandbox}`, taken, undefined);
}

function benchNothingToDo(): void {
  const taken: Record<Side, number[]> = { silo: [], nix: [] };
  const commands = new Map<Side, Command>();
  for (const side of sides) {
    const env = makeStore("valid", side, "unsandboxed");
    const command = realise(side, env, instantiate(env, sizes.valid, 4, "valid"), []);
    measure(command);
    commands.set(side, command);
  }
  for (let round = 0; round < Math.max(5, runs); round++) {
    for (const side of sides) taken[side].push(measure(commands.get(side)!).wallMs);
  }
  report(`${sizes.valid} built already`, taken, measurePeakKib(commands.get("silo")!));
}

function benchHugeGraph(): void {
  const env = makeStore("huge", "silo", "unsandboxed");
  const command = realise("silo", env, instantiate(env, sizes.huge, 4, "huge"), []);
  const kib = measurePeakKib(command);
  if (kib !== undefined) console.log(`${sizes.huge} builds, peak of memory: ${(kib / 1024).toFixed(0)} MiB`);
}

try {
  console.log(
    `${"nix-store --realise -j2, ms".padEnd(36)}${"silo".padStart(9)}${"nix".padStart(9)}${"ratio".padStart(7)}`,
  );
  for (const sandbox of ["unsandboxed", "sandboxed"] as const) {
    for (const count of [sizes.few, sizes.many]) benchBuilds(count, sandbox);
  }
  benchNothingToDo();
  benchHugeGraph();
} finally {
  if (inMemory) execFileSync("umount", ["-l", root]);
  else execFileSync("chmod", ["-R", "u+w", root]);
  rmSync(root, { recursive: true, force: true });
}
