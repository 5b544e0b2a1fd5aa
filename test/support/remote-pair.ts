/** A store here and one on another machine (ssh-machine.ts), with the programs of silo or of Nix on either side. */
import { type SpawnSyncReturns, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { siloProgram } from "./silo-binary.ts";
import { type SshMachine, type SshMachineOptions, startSshMachine } from "./ssh-machine.ts";
import { createStoreFixture, type StoreFixture } from "./store-fixture.ts";

export type Side = "silo" | "nix";

export interface RemotePair {
  readonly here: StoreFixture;
  readonly there: SshMachine;
  readonly env: Record<string, string>;
  /** Runs a program of this side: `nix-store`, `nix-copy-closure`, … */
  run(side: Side, program: string, args: readonly string[], env?: Record<string, string>): SpawnSyncReturns<string>;
  start(side: Side, program: string, args: readonly string[], env?: Record<string, string>): ChildProcess;
  shell(script: string, env?: Record<string, string>): SpawnSyncReturns<string>;
  /** A closure of three paths, one of them a tree; its full paths, what refers last. */
  addClosure(where: "here" | "there"): string[];
  close(): void;
}

export const programs = ["nix-store", "nix-copy-closure", "nix-daemon", "build-remote", "download-via-ssh", "silo"];

/** Where the programs of a side are. */
export function programDirectory(side: Side): string {
  if (side === "nix") return "/usr/bin";
  return dirname(programs.map(siloProgram)[0]!);
}

export async function startRemotePair(
  remote: Side | "other",
  options: Partial<SshMachineOptions> & { readonly conf?: readonly string[] } = {},
): Promise<RemotePair> {
  const here = createStoreFixture();
  writeFileSync(
    join(here.dir, "conf", "nix.conf"),
    ["build-users-group =", "sandbox = false", "substitute = false", ...(options.conf ?? []), ""].join("\n"),
  );
  const path = remote === "other" ? [] : [programDirectory(remote)];
  const there = await startSshMachine({ storeDir: here.storeDir, path, ...options });
  const env = { ...here.env, ...there.clientEnv };
  const command = (side: Side, program: string) => join(programDirectory(side), program);

  return {
    here,
    there,
    env,
    run: (side, program, args, more = {}) =>
      spawnSync(command(side, program), args, { env: { ...env, ...more }, encoding: "latin1", maxBuffer: 1 << 28 }),
    start: (side, program, args, more = {}) =>
      spawn(command(side, program), args, { env: { ...env, ...more }, stdio: ["ignore", "pipe", "pipe"] }),
    shell: (script, more = {}) =>
      spawnSync("/bin/sh", ["-c", script], { env: { ...env, ...more }, encoding: "latin1" }),
    addClosure(where) {
      const dir = where === "here" ? here.dir : there.dir;
      const nix = (...args: string[]) =>
        where === "here" ? here.nix(args).toString("latin1").trim() : there.run("/usr/bin/nix-store", ...args).trim();
      const tree = join(dir, "tree");
      mkdirSync(join(tree, "sub"), { recursive: true });
      writeFileSync(join(tree, "data"), Buffer.alloc(300_000, "some data "));
      writeFileSync(join(tree, "sub", "run"), "#!/bin/sh\n", { mode: 0o755 });
      symlinkSync("sub/run", join(tree, "link"));
      const first = nix("--add", tree);
      // Two that refer to it, by being registered so.
      const register = (name: string, references: readonly string[]) => {
        const path = `${here.storeDir}/${"0123456789abcdfghijklmnpqrsvwxyz".slice(0, 31)}${name.length}-${name}`;
        const file = where === "here" ? path : join(there.storeFiles, path.slice(here.storeDir.length + 1));
        writeFileSync(file, `refers to ${references.join(" ")}\n`);
        const text = `${path}\n\n${references.length}\n${references.join("\n")}\n`;
        if (where === "here") here.nix(["--register-validity"], Buffer.from(text));
        else {
          writeFileSync(join(dir, "registration"), text);
          there.run("sh", "-c", `/usr/bin/nix-store --register-validity < ${join(dir, "registration")}`);
        }
        return path;
      };
      const second = register("middle", [first]);
      return [first, second, register("the-top", [second, first])];
    },
    close() {
      there.stop();
      here.remove();
    },
  };
}
