/**
 * scripts/bench gc: collecting garbage. Stores of small objects, 8 references each on average, half of them alive; silo beside stock Nix on
 * the same store where Nix does not take for ever. Prints seconds, the ratio, and silo's peak of memory.
 *   --quick takes small stores, --without-nix leaves Nix out, --dir DIR says where stores are made
 */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { runtime } from "#runtime";
import { type Command, measure, measurePeakKib } from "./measure.ts";
import { randomNumbers } from "./inputs.ts";

const args = process.argv.slice(2);
const quick = args.includes("--quick");
const withNix = !args.includes("--without-nix");
const place = args.includes("--dir") ? args[args.indexOf("--dir") + 1]! : existsSync("/dev/shm") ? "/dev/shm" : "/tmp";
const silo = process.env["SILO_BENCH_BINARY"] ?? new URL("../../dist/silo", import.meta.url).pathname;
const nixStore = withNix ? execFileSync("sh", ["-c", "command -v nix-store"]).toString().trim() : "";

interface StoreDirectory {
  readonly dir: string;
  readonly env: Record<string, string>;
}

/** `trees`: outputs are directories with two files; `files`: everything is a file. */
type Objects = "files" | "trees";

const base32 = "0123456789abcdfghijklmnpqrsvwxyz";

/**
 * Derivations and outputs in turn. Two of four are alive, being needed by a root; the others refer to both kinds. References go to paths
 * among the twenty thousand before, the nearer the more often.
 */
function makeStore(dir: string, count: number, objects: Objects): StoreDirectory {
  mkdirSync(`${dir}/conf`, { recursive: true });
  writeFileSync(`${dir}/conf/nix.conf`, "build-users-group =\n");
  const env = {
    PATH: "/usr/bin:/bin",
    HOME: dir,
    BENCH_DIR: dir,
    NIX_STORE_DIR: `${dir}/store`,
    NIX_STATE_DIR: `${dir}/state`,
    NIX_LOG_DIR: `${dir}/log`,
    NIX_CONF_DIR: `${dir}/conf`,
    NIX_USER_CONF_FILES: "",
  };
  execFileSync(silo, ["nix-store", "--init"], { env });
  const db = runtime.openDatabase(`${dir}/state/db/db.sqlite`, "read-write");
  const random = randomNumbers(4);
  const below = (limit: number) => Math.floor(random() * limit);
  const valid = db.prepare(
    "insert into ValidPaths (id, path, hash, registrationTime, deriver, narSize) values (?, ?, ?, 1, ?, 1000)",
  );
  const reference = db.prepare("insert or ignore into Refs values (?, ?)");
  const output = db.prepare("insert into DerivationOutputs values (?, 'out', ?)");
  const hash = `sha256:${"0a430879".repeat(8)}`;
  const paths: string[] = [];
  db.exec("pragma synchronous = off");
  db.exec("begin");
  for (let i = 0; i < count; i++) {
    let part = "";
    for (let k = 0; k < 32; k++) part += base32[below(32)];
    const isDerivation = i % 2 === 0;
    const isDead = (i & 2) !== 0;
    const path = `${dir}/store/${part}-package-${i}${isDerivation ? ".drv" : "-1.2.3"}`;
    paths.push(path);
    valid.run(i + 1, path, hash, isDerivation ? null : paths[i - 1]!);
    if (!isDerivation) output.run(i, path);
    for (let made = 0; made < 8 && i > 40; made++) {
      const back = 1 + Math.floor(random() ** 2 * Math.min(i - 8, 20_000));
      let target = ((i - back) & ~1) | (i & 1);
      if (!isDead) target &= ~2;
      if (target >= 0 && target < i) reference.run(i + 1, target + 1);
    }
    writeObject(path, i, isDerivation ? "files" : objects);
    if (!isDead && !isDerivation && (i >> 2) % 50 === 0) symlinkSync(path, `${dir}/state/gcroots/root-${i}`);
  }
  db.exec("commit");
  db.close();
  return { dir, env };
}

function writeObject(path: string, number: number, objects: Objects): void {
  if (objects === "files") {
    writeFileSync(path, `object ${number}`, { mode: 0o444 });
    return;
  }
  mkdirSync(`${path}/bin`, { recursive: true });
  writeFileSync(`${path}/bin/tool`, `tool ${number}`, { mode: 0o555 });
  writeFileSync(`${path}/readme`, `readme ${number}`, { mode: 0o444 });
  for (const directory of [`${path}/bin`, path]) chmodSync(directory, 0o555);
}

function command(side: "silo" | "nix", { env, dir }: StoreDirectory, ...words: string[]): Command {
  const argv = side === "silo" ? [silo, "nix-store", ...words] : [nixStore, ...words];
  return { argv, env, stdout: `${dir}/printed-${side}` };
}

const seconds = (ms: number | undefined) => (ms === undefined ? "-" : (ms / 1000).toFixed(2)).padStart(9);

function report(name: string, siloMs: number, nixMs: number | undefined, peakKib: number | undefined): void {
  const ratio = nixMs === undefined ? "-" : (siloMs / nixMs).toFixed(3);
  const memory = peakKib === undefined ? "?" : `${Math.round(peakKib / 1024)} MiB`;
  console.log(`${name.padEnd(34)}${seconds(siloMs)}${seconds(nixMs)}${ratio.padStart(9)}${memory.padStart(10)}`);
}

const sorted = (file: string) => execFileSync("sort", [file], { env: { LC_ALL: "C" }, maxBuffer: 1 << 30 }).toString();

function benchMarking(work: string, count: number, nix: boolean): void {
  const store = makeStore(`${work}/marking`, count, "files");
  const own = command("silo", store, "--gc", "--print-dead", "--quiet", "--quiet");
  const times = [1, 2, 3].map(() => measure(own).wallMs).sort((a, b) => a - b);
  let nixMs: number | undefined;
  if (nix) {
    nixMs = measure(command("nix", store, "--gc", "--print-dead", "--quiet", "--quiet")).wallMs;
    if (sorted(`${store.dir}/printed-silo`) !== sorted(`${store.dir}/printed-nix`)) {
      throw new Error("silo and Nix print different dead paths");
    }
  }
  report(`print-dead of ${count} paths`, times[1]!, nixMs, measurePeakKib(own));
  rmSync(store.dir, { recursive: true });
}

function benchDeleting(work: string, dead: number): void {
  const dir = `${work}/deleting`;
  const store = makeStore(dir, dead * 2, "trees");
  renameSync(dir, `${dir}.kept`);
  const restored = <T>(use: () => T): T => {
    execFileSync("cp", ["-a", `${dir}.kept`, dir]);
    execFileSync("sync");
    const result = use();
    execFileSync("chmod", ["-R", "u+w", dir]);
    rmSync(dir, { recursive: true });
    return result;
  };
  const collect = (side: "silo" | "nix") => command(side, store, "--gc", "--quiet", "--quiet");
  const siloMs = Math.min(...[1, 2, 3].map(() => restored(() => measure(collect("silo")).wallMs)));
  const nixMs = withNix ? Math.min(...[1, 2].map(() => restored(() => measure(collect("nix")).wallMs))) : undefined;
  const peak = restored(() => measurePeakKib(collect("silo")));
  report(`delete of ${dead} dead paths`, siloMs, nixMs, peak);
  rmSync(`${dir}.kept`, { recursive: true });
}

const work = mkdtempSync(`${place}/silo-bench-gc-`);
try {
  console.log(
    `${"collecting, in seconds".padEnd(34)}${"silo".padStart(9)}${"nix".padStart(9)}${"ratio".padStart(9)}${"memory".padStart(10)}`,
  );
  const [small, middle, large] = quick ? [2000, 20_000, 100_000] : [20_000, 200_000, 1_000_000];
  benchMarking(work, small!, withNix);
  benchMarking(work, middle!, withNix);
  benchMarking(work, large!, false);
  benchDeleting(work, quick ? 2000 : 20_000);
} finally {
  execFileSync("chmod", ["-R", "u+w", work]);
  rmSync(work, { recursive: true });
}
