/**
 * The compiled binary, for tests that call it as users do. It is compiled when it is missing or older than the source;
 * SILO_BINARY names another one to test instead.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");
const links = join(root, "dist/bin");

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
  if (given) return resolve(given);
  const compiled = join(root, "dist/silo");
  if (!existsSync(compiled) || statSync(compiled).mtimeMs < newestSource()) compile(compiled);
  return compiled;
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
