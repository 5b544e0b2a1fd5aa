/** What is measured: each case prepares the same state for either side, runs one command on it, and undoes what that did. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { makeLargeFile, makeManyFiles, makeRegistration } from "./inputs.ts";
import type { Command } from "./measure.ts";

/** One of the two programs, with a store of its own. */
export interface Side {
  readonly name: "silo" | "nix";
  /** Where `nix-store` and `nix-hash` of this side are. */
  readonly bin: string;
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface Sizes {
  readonly largeMib: number;
  readonly manyFiles: number;
  readonly closure: number;
}

/** What all cases share. */
export interface Bench {
  readonly sizes: Sizes;
  /** Directory of inputs. */
  readonly inputs: string;
  readonly sides: readonly Side[];
}

export interface Case {
  readonly name: string;
  readonly what: string;
  /** Done once for each side, before its first run. */
  prepare?(bench: Bench, side: Side): void;
  command(bench: Bench, side: Side): Command;
  /** Puts back what a run changed. */
  reset?(bench: Bench, side: Side): void;
}

const storeCommand = (side: Side, args: readonly string[], rest: Partial<Command> = {}): Command => ({
  argv: [`${side.bin}/nix-store`, ...args],
  env: side.env,
  ...rest,
});

const hashCommand = (side: Side, args: readonly string[]): Command => ({
  argv: [`${side.bin}/nix-hash`, ...args],
  env: side.env,
});

/** Runs a command of stock Nix, which prepares the stores of both sides. */
function stock({ sides }: Bench, side: Side, args: readonly string[], input?: string | Uint8Array): string {
  const nix = sides.find(({ name }) => name === "nix")!;
  return execFileSync(`${nix.bin}/nix-store`, args, {
    env: side.env,
    input: input ?? "",
    maxBuffer: 1 << 30,
    stdio: ["pipe", "pipe", "pipe"],
  }).toString();
}

function largeFile({ inputs, sizes }: Bench): string {
  const path = `${inputs}/large`;
  if (!existsSync(path)) makeLargeFile(path, sizes.largeMib);
  return path;
}

function manyFiles({ inputs, sizes }: Bench): string {
  const path = `${inputs}/many`;
  if (!existsSync(path)) makeManyFiles(path, sizes.manyFiles, 0);
  return path;
}

function duplicates({ inputs, sizes }: Bench): string {
  const path = `${inputs}/duplicates`;
  if (!existsSync(path)) makeManyFiles(path, sizes.manyFiles, sizes.manyFiles / 2);
  return path;
}

function emptyStore(bench: Bench, side: Side): void {
  clearStore(side);
  stock(bench, side, ["--init"]);
}

function clearStore(side: Side): void {
  rmSync(`${side.dir}/store`, { recursive: true, force: true });
  rmSync(`${side.dir}/state`, { recursive: true, force: true });
}

/** A store with both trees; the paths are in a file each. */
function filledStore(bench: Bench, side: Side): void {
  emptyStore(bench, side);
  for (const [name, source] of [
    ["large", largeFile(bench)],
    ["many", manyFiles(bench)],
  ] as const) {
    writeFileSync(`${side.dir}/${name}`, stock(bench, side, ["--add", source]).trim());
  }
}

const added = (side: Side, name: "large" | "many") => readFileSync(`${side.dir}/${name}`, "latin1");

function graphStore(bench: Bench, side: Side): void {
  emptyStore(bench, side);
  const { text, top } = makeRegistration(`${side.dir}/store`, bench.sizes.closure);
  writeFileSync(`${side.dir}/top`, top);
  writeFileSync(`${side.dir}/registration`, text);
  stock(bench, side, ["--load-db"], text);
}

const top = (side: Side) => readFileSync(`${side.dir}/top`, "latin1");

function addCase(name: string, what: string, input: (bench: Bench) => string): Case {
  return {
    name,
    what,
    prepare(bench, side) {
      input(bench);
      emptyStore(bench, side);
    },
    command: (bench, side) => storeCommand(side, ["--add", input(bench)], { stdout: `${side.dir}/printed` }),
    reset: emptyStore,
  };
}

function dumpCase(name: "large" | "many", what: string): Case {
  return {
    name: `dump-${name}`,
    what,
    command: (bench, side) => storeCommand(side, ["--dump", name === "large" ? largeFile(bench) : manyFiles(bench)]),
  };
}

function restoreCase(name: "large" | "many", what: string): Case {
  return {
    name: `restore-${name}`,
    what,
    prepare(bench, side) {
      const nar = `${bench.inputs}/${name}.nar`;
      if (existsSync(nar)) return;
      const source = name === "large" ? largeFile(bench) : manyFiles(bench);
      execFileSync("sh", ["-c", '"$0/nix-store" --dump "$1" > "$2"', bench.sides[1]!.bin, source, nar], {
        env: side.env,
      });
    },
    command: (bench, side) =>
      storeCommand(side, ["--restore", `${side.dir}/restored`], { stdin: `${bench.inputs}/${name}.nar` }),
    reset: (_, side) => rmSync(`${side.dir}/restored`, { recursive: true, force: true }),
  };
}

export const cases: readonly Case[] = [
  { name: "start", what: "nix-store --version", command: (_, side) => storeCommand(side, ["--version"]) },
  {
    name: "query",
    what: "references of one path",
    prepare: graphStore,
    command: (_, side) => storeCommand(side, ["-q", "--references", top(side)], { stdout: `${side.dir}/printed` }),
  },
  {
    name: "closure",
    what: "-qR of 10,000 paths",
    prepare: graphStore,
    command: (_, side) => storeCommand(side, ["-qR", top(side)], { stdout: `${side.dir}/printed` }),
  },
  {
    name: "load-db",
    what: "--load-db of 10,000 paths",
    prepare(bench, side) {
      graphStore(bench, side);
      emptyStore(bench, side);
    },
    command: (_, side) => storeCommand(side, ["--load-db"], { stdin: `${side.dir}/registration` }),
    reset: emptyStore,
  },
  addCase("add-large", "--add of a file of 1 GiB", largeFile),
  addCase("add-many", "--add of 20,000 files", manyFiles),
  dumpCase("large", "--dump of 1 GiB"),
  dumpCase("many", "--dump of 20,000 files"),
  restoreCase("large", "--restore of 1 GiB"),
  restoreCase("many", "--restore of 20,000 files"),
  {
    name: "export",
    what: "--export of both",
    prepare: filledStore,
    command: (_, side) => storeCommand(side, ["--export", added(side, "large"), added(side, "many")]),
  },
  {
    name: "import",
    what: "--import of both",
    prepare(bench, side) {
      filledStore(bench, side);
      const both = [added(side, "large"), added(side, "many")];
      execFileSync(
        "sh",
        [
          "-c",
          'out=$1; shift; exec "$0/nix-store" --export "$@" > "$out"',
          bench.sides[1]!.bin,
          `${side.dir}/stream`,
          ...both,
        ],
        { env: side.env },
      );
      emptyStore(bench, side);
    },
    command: (_, side) =>
      storeCommand(side, ["--import"], { stdin: `${side.dir}/stream`, stdout: `${side.dir}/printed` }),
    reset: emptyStore,
  },
  {
    name: "verify",
    what: "--verify --check-contents",
    prepare: filledStore,
    command: (_, side) => storeCommand(side, ["--verify", "--check-contents"]),
  },
  {
    name: "optimise",
    what: "--optimise, half of 20,000 files",
    prepare(bench, side) {
      emptyStore(bench, side);
      stock(bench, side, ["--add", duplicates(bench)]);
      renameSync(`${side.dir}/store`, `${side.dir}/store.kept`);
      renameSync(`${side.dir}/state`, `${side.dir}/state.kept`);
      restoreKept(side);
    },
    command: (_, side) => storeCommand(side, ["--optimise"]),
    reset: (_, side) => restoreKept(side),
  },
  {
    name: "hash-large",
    what: "nix-hash of 1 GiB",
    command: (bench, side) => hashCommand(side, ["--type", "sha256", "--flat", largeFile(bench)]),
  },
  {
    name: "hash-many",
    what: "nix-hash of 20,000 files",
    command: (bench, side) => hashCommand(side, ["--type", "sha256", manyFiles(bench)]),
  },
];

function restoreKept(side: Side): void {
  clearStore(side);
  mkdirSync(side.dir, { recursive: true });
  for (const name of ["store", "state"]) execFileSync("cp", ["-a", `${side.dir}/${name}.kept`, `${side.dir}/${name}`]);
}
