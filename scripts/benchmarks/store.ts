/** scripts/bench store: what neither builds nor collects. Runs the cases and prints a line for each. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type Bench, type Case, cases, type Side, type Sizes } from "./cases.ts";
import { type Measurement, measure, measurePeakKib, median } from "./measure.ts";

interface Options {
  readonly sizes: Sizes;
  readonly runs: number;
  readonly dir: string;
  readonly nix: string;
  readonly cases: readonly Case[];
}

function parseOptions(args: readonly string[]): Options {
  let sizes: Sizes = { largeMib: 1024, manyFiles: 20_000, closure: 10_000 };
  let runs = 5;
  let dir = existsSync("/dev/shm") ? "/dev/shm" : "/tmp";
  let nix = execFileSync("sh", ["-c", 'dirname "$(command -v nix-store)"']).toString().trim();
  const names: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--quick") sizes = { largeMib: 64, manyFiles: 2000, closure: 1000 };
    else if (arg === "--runs") runs = Number(args[++i]);
    else if (arg === "--dir") dir = args[++i]!;
    else if (arg === "--nix") nix = args[++i]!;
    else if (arg === "--list") {
      for (const { name, what } of cases) console.log(`${name.padEnd(14)} ${what}`);
      process.exit(0);
    } else names.push(arg);
  }
  const unknown = names.find((name) => !cases.some((each) => each.name === name));
  if (unknown !== undefined || !(runs > 0)) {
    console.error(`bench: no benchmark '${unknown}'; --list names them`);
    process.exit(2);
  }
  return { sizes, runs, dir, nix, cases: cases.filter(({ name }) => names.length === 0 || names.includes(name)) };
}

function makeSide(dir: string, name: Side["name"], bin: string): Side {
  const own = `${dir}/${name}`;
  mkdirSync(`${own}/conf`, { recursive: true });
  writeFileSync(`${own}/conf/nix.conf`, "build-users-group =\n");
  return {
    name,
    bin,
    dir: own,
    env: {
      PATH: "/usr/bin:/bin",
      HOME: own,
      BENCH_DIR: own,
      NIX_STORE_DIR: `${own}/store`,
      NIX_STATE_DIR: `${own}/state`,
      NIX_LOG_DIR: `${own}/log`,
      NIX_CONF_DIR: `${own}/conf`,
      NIX_USER_CONF_FILES: "",
    },
  };
}

/** Both sides print the same, but for the place of their store. */
function checkSame(sides: readonly Side[], { name }: Case): void {
  const printed = sides.map((side) => {
    const file = `${side.dir}/printed`;
    if (!existsSync(file)) return "";
    const names = readFileSync(file, "latin1")
      .replaceAll(/^.*\/store\/(\w{32}-)?/gm, "")
      .split("\n");
    rmSync(file);
    return names.sort().join("\n"); // paths are sorted by their hashes, which the place is part of
  });
  if (new Set(printed).size > 1)
    throw new Error(
      `${name}: the two do not print the same: ${printed.map((text) => JSON.stringify(text.slice(0, 300))).join(" and ")}`,
    );
}

function runCase(bench: Bench, each: Case, runs: number): void {
  const taken = new Map<Side, Measurement[]>(bench.sides.map((side) => [side, []]));
  for (const side of bench.sides) each.prepare?.(bench, side);
  // One run each to warm the caches and to compare what they print.
  for (const side of bench.sides) {
    rmSync(`${side.dir}/printed`, { force: true });
    measure(each.command(bench, side));
    each.reset?.(bench, side);
  }
  checkSame(bench.sides, each);
  for (let round = 0; round < runs; round++) {
    const order = round % 2 === 0 ? bench.sides : [...bench.sides].reverse();
    for (const side of order) {
      execFileSync("sync");
      taken.get(side)!.push(measure(each.command(bench, side)));
      each.reset?.(bench, side);
    }
  }
  const results = bench.sides.map((side) => {
    const peakKib = measurePeakKib(each.command(bench, side));
    each.reset?.(bench, side);
    return {
      wallMs: median(taken.get(side)!.map(({ wallMs }) => wallMs)),
      cpuMs: median(taken.get(side)!.map(({ cpuMs }) => cpuMs)),
      peakKib,
    };
  });
  const [silo, nix] = results as [(typeof results)[0], (typeof results)[0]];
  const row = [
    each.name.padEnd(14),
    time(silo.wallMs),
    time(nix.wallMs),
    ratio(silo.wallMs, nix.wallMs),
    time(silo.cpuMs),
    time(nix.cpuMs),
    ratio(silo.cpuMs, nix.cpuMs),
    memory(silo.peakKib),
    memory(nix.peakKib),
    `  ${each.what}`,
  ];
  console.log(row.join(""));
}

const time = (ms: number) => `${ms < 100 ? ms.toFixed(1) : ms.toFixed(0)} ms`.padStart(11);
const ratio = (a: number, b: number) => (a / b).toFixed(2).padStart(7);
const memory = (kib: number | undefined) => (kib === undefined ? "?" : `${Math.round(kib / 1024)} MiB`).padStart(9);

function main(): void {
  const options = parseOptions(process.argv.slice(2));
  const dir = mkdtempSync(`${options.dir}/silo-bench-`);
  try {
    mkdirSync(`${dir}/inputs`);
    mkdirSync(`${dir}/bin`);
    const silo = process.env["SILO_BENCH_BINARY"] ?? new URL("../../dist/silo", import.meta.url).pathname;
    for (const name of ["nix-store", "nix-hash"]) symlinkSync(silo, `${dir}/bin/${name}`);
    const sides = [makeSide(dir, "silo", `${dir}/bin`), makeSide(dir, "nix", options.nix)];
    const bench: Bench = { sizes: options.sizes, inputs: `${dir}/inputs`, sides };
    const { largeMib, manyFiles, closure } = options.sizes;
    console.log(
      `large: ${largeMib} MiB, many: ${manyFiles} files, closure: ${closure} paths; in ${options.dir}; median of ${options.runs}`,
    );
    const head = ["benchmark".padEnd(14), "silo".padStart(11), "nix".padStart(11), "ratio".padStart(7)];
    head.push(
      "silo cpu".padStart(11),
      "nix cpu".padStart(11),
      "ratio".padStart(7),
      "silo".padStart(9),
      "nix".padStart(9),
    );
    console.log(head.join(""));
    for (const each of options.cases) runCase(bench, each, options.runs);
  } finally {
    execFileSync("chmod", ["-R", "u+w", dir]);
    rmSync(dir, { recursive: true, force: true });
  }
}

main();
