/**
 * The compiled binary, for tests that call it as users do. It is compiled when it is missing or older than the source;
 * SILO_BINARY names another one to test instead; `deno` means the source, run by Deno.
 */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");
const underDeno = process.env["SILO_BINARY"] === "deno";
const links = join(root, underDeno ? "dist/deno" : "dist/bin");

let binary: string | undefined;

/** The path of the binary under the name of one of its programs: `silo`, `nix-store`, … */
export function siloProgram(name: string): string {
  binary ??= findBinary();
  const link = join(links, name);
  mkdirSync(dirname(link), { recursive: true });
  if (!pointsTo(link, binary)) {
    const fresh = `${link}.${process.pid}`;
    rmSync(fresh, { force: true });
    symlinkSync(binary, fresh);
    renameSync(fresh, link); // other tests may be making the same
  }
  return link;
}

function findBinary(): string {
  const given = process.env["SILO_BINARY"];
  if (underDeno) return writeDenoStarter();
  if (given) return resolve(given);
  const compiled = join(root, "dist/silo");
  if (!existsSync(compiled) || statSync(compiled).mtimeMs < newestSource()) compile(compiled);
  return compiled;
}

/** A script that does under Deno what the binary does under each of its names. */
function writeDenoStarter(): string {
  const [deno] = globSync(join(root, "node_modules/@deno/*/deno"));
  if (deno === undefined) throw new Error("Deno is not installed");
  const starter = join(links, "starter");
  const script = `#!/bin/bash
export DENO_DIR="\${DENO_DIR:-${join(links, "cache")}}"
exec -a "$0" ${deno} run -A --no-check --quiet ${join(root, "src/main.ts")} "$@"
`;
  mkdirSync(dirname(starter), { recursive: true });
  const fresh = `${starter}.${process.pid}`;
  writeFileSync(fresh, script, { mode: 0o755 });
  renameSync(fresh, starter); // other tests may be making the same
  return starter;
}

function compile(to: string): void {
  const script = join(root, "scripts/build");
  execFileSync(script, [], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  if (!existsSync(to)) throw new Error(`${script} did not make ${to}`);
}

function newestSource(): number {
  const source = join(root, "src");
  const files = readdirSync(source, { recursive: true, encoding: "utf8" }).map((name) => join(source, name));
  const times = [...files, join(root, "package.json"), join(root, "scripts/build")].map(
    (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0, // gone since it was listed
  );
  return Math.max(...times);
}

function pointsTo(link: string, target: string): boolean {
  try {
    return readlinkSync(link) === target;
  } catch {
    return false;
  }
}
