/**
 * scripts/bench remote: copies and builds over ssh to a machine of its own (test/support/ssh-machine.ts), silo with silo and Nix with Nix. Prints seconds
 * of the client, the ratio, and for the delta copy the share of the bytes.
 *   --quick takes small inputs, --rtt MS another round trip for the builds, --runs N more than one
 */
import { execFileSync, spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { siloProgram } from "../../test/support/silo-binary.ts";
import { type SshMachine, type SshMachineOptions, startSshMachine } from "../../test/support/ssh-machine.ts";
import { createStoreFixture, type StoreFixture } from "../../test/support/store-fixture.ts";

const args = process.argv.slice(2);
const quick = args.includes("--quick");
const option = (name: string, initial: number) =>
  args.includes(name) ? Number(args[args.indexOf(name) + 1]) : initial;
const rttMs = option("--rtt", 50);
const runs = option("--runs", 1);
const sizes = quick
  ? { largeMib: 64, paths: 500, builds: 10, deltaFiles: 500 }
  : { largeMib: 1024, paths: 10_000, builds: 100, deltaFiles: 5000 };

const sides = ["silo", "nix"] as const;
type Side = (typeof sides)[number];
for (const name of ["nix-store", "nix-copy-closure", "build-remote"]) siloProgram(name);
const programs: Record<Side, string> = {
  silo: dirname(siloProgram("nix-store")),
  nix: dirname(execFileSync("sh", ["-c", "command -v nix-store"]).toString().trim()),
};

interface Setup {
  readonly here: StoreFixture;
  readonly there: SshMachine;
  readonly env: Record<string, string>;
}

async function withMachine<T>(
  side: Side,
  here: StoreFixture,
  options: Partial<SshMachineOptions>,
  use: (setup: Setup) => T,
): Promise<T> {
  const there = await startSshMachine({ storeDir: here.storeDir, path: [programs[side]], ...options });
  try {
    return use({ here, there, env: { ...here.env, ...there.clientEnv } });
  } finally {
    there.stop();
  }
}

function timed(side: Side, { env }: Setup, program: string, programArgs: readonly string[]): number {
  const start = performance.now();
  const { status, stderr } = spawnSync(join(programs[side], program), programArgs, { env, maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`${side}: ${program} failed: ${stderr}`);
  return (performance.now() - start) / 1000;
}

/** The best of the runs of each side, which take turns. */
async function compare(what: string, measure: (side: Side) => Promise<number>): Promise<void> {
  const best: Record<Side, number> = { silo: Number.POSITIVE_INFINITY, nix: Number.POSITIVE_INFINITY };
  for (let run = 0; run < runs; run++) for (const side of sides) best[side] = Math.min(best[side], await measure(side));
  const ratio = (best.silo / best.nix).toFixed(2);
  console.log(`${what.padEnd(44)} silo ${best.silo.toFixed(2)} s   nix ${best.nix.toFixed(2)} s   ratio ${ratio}`);
}

function randomFile(path: string, mib: number): void {
  const chunk = Buffer.alloc(1 << 20);
  const fd = openSync(path, "w");
  for (let i = 0; i < mib; i++) writeSync(fd, randomFillSync(chunk));
  closeSync(fd);
}

async function copies(): Promise<void> {
  const here = createStoreFixture();
  try {
    const large = join(here.dir, "large");
    mkdirSync(large);
    for (let i = 0; i < 16; i++) randomFile(join(large, `f${i}`), sizes.largeMib / 16);
    const path = here.nix(["--add", large]).toString().trim();
    const small: string[] = [];
    for (let at = 0; at < sizes.paths; at += 500) {
      const files = Array.from({ length: 500 }, (_, i) => join(here.dir, `p${at + i}`));
      for (const file of files) writeFileSync(file, `path ${file}\n`.repeat(20));
      small.push(
        ...here
          .nix(["--add", ...files])
          .toString()
          .trim()
          .split("\n"),
      );
    }
    const copy = (side: Side, paths: readonly string[]) =>
      withMachine(side, here, {}, (setup) => timed(side, setup, "nix-copy-closure", ["machine", ...paths]));
    await compare(`copy of ${sizes.largeMib} MiB`, (side) => copy(side, [path]));
    await compare(`copy of ${sizes.paths} small paths`, (side) => copy(side, small));
  } finally {
    here.remove();
  }
}

async function builds(): Promise<void> {
  const measure = async (side: Side) => {
    const here = createStoreFixture();
    try {
      const options = { nixConf: ["system-features = far"], delayMs: rttMs / 2 };
      return await withMachine(side, here, options, (setup) => {
        const conf = [
          "build-users-group =",
          "builders = ssh://machine x86_64-linux,aarch64-linux - 4 1 far",
          "max-jobs = 0",
          "substitute = false",
        ];
        writeFileSync(join(here.dir, "conf", "nix.conf"), `${conf.join("\n")}\n`);
        const drv = `derivation { name = "b\${toString i}"; system = builtins.currentSystem; builder = "/bin/sh"; requiredSystemFeatures = ["far"]; inherit i; src = builtins.toFile "s" (toString i); args = [ "-c" "echo $i > $out" ]; }`;
        const expression = `map (i: ${drv}) (builtins.genList (x: x) ${sizes.builds})`;
        const drvs = execFileSync(join(programs.nix, "nix-instantiate"), ["-E", expression], {
          env: setup.env,
          stdio: ["ignore", "pipe", "ignore"],
        });
        return timed(side, setup, "nix-store", ["-r", ...drvs.toString().trim().split("\n")]);
      });
    } finally {
      here.remove();
    }
  };
  await compare(`${sizes.builds} remote builds, ${rttMs} ms away`, measure);
}

async function delta(): Promise<void> {
  const here = createStoreFixture();
  try {
    const source = join(here.dir, "pkg");
    mkdirSync(source);
    const contents = Buffer.alloc(100_000);
    const write = (i: number) => writeFileSync(join(source, `f${i}`), randomFillSync(contents));
    for (let i = 0; i < sizes.deltaFiles; i++) write(i);
    const first = here.nix(["--add", source]).toString().trim();
    for (let i = 0; i < sizes.deltaFiles; i += 100) write(i);
    const second = here.nix(["--add", source]).toString().trim();
    await withMachine("silo", here, {}, (setup) => {
      timed("silo", setup, "nix-copy-closure", ["machine", first]);
      const before = loopbackBytes();
      const seconds = timed("silo", setup, "nix-copy-closure", ["machine", second]);
      const share = ((loopbackBytes() - before) / (sizes.deltaFiles * contents.length)) * 100;
      console.log(
        `${`delta copy of ${sizes.deltaFiles / 10} MB, 1 % changed`.padEnd(44)} silo ${seconds.toFixed(2)} s   ${share.toFixed(2)} % of the bytes`,
      );
    });
  } finally {
    here.remove();
  }
}

function loopbackBytes(): number {
  const line = readFileSync("/proc/net/dev", "utf8")
    .split("\n")
    .find((each) => each.includes("lo:"))!;
  return Number(line.split(":")[1]!.trim().split(/\s+/)[0]);
}

await copies();
await delta();
await builds();
