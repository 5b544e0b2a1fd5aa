/**
 * Another machine: a real sshd on a loopback port, in a mount namespace of its own, where the store directory of a fixture is another directory. So both
 * machines have a store by the same name. Nothing of the system is changed; keys and configuration are temporary.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { once } from "node:events";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deleteTree } from "../../src/sys/delete-tree.ts";
import { skipWithout } from "./stock-nix.ts";

const sshd = "/usr/sbin/sshd";

/** For the `skip` of tests that need sshd and namespaces. */
export const skipWithoutSshd: string | false =
  process.env["SILO_REQUIRE_PEERS"] === "1" || (existsSync(sshd) && process.getuid?.() === 0)
    ? skipWithout("unshare", "--version")
    : "no sshd, or not root";

export interface SshMachine {
  readonly dir: string;
  readonly port: number;
  /** The environment of clients: a home with keys and known hosts, and `host` in its ssh configuration. */
  readonly clientEnv: Record<string, string>;
  /** `host`, by which the client's configuration knows it. */
  readonly host: string;
  /** Where the remote store's files really are; its state is in `state` beside. */
  readonly storeFiles: string;
  /** Runs a program in the namespace, with the remote's environment. */
  run(command: string, ...args: string[]): string;
  /** Has sessions from now on find programs in these directories. */
  setPath(path: readonly string[]): void;
  /** How often somebody has logged in. */
  logins(): number;
  /** The sshd processes of connections, for faults. */
  killConnections(signal: NodeJS.Signals): void;
  stop(): void;
}

export interface SshMachineOptions {
  /** The store directory that clients and remote share by name. */
  readonly storeDir: string;
  /** Directories with the remote's programs, first in its PATH. */
  readonly path: readonly string[];
  /** Further lines for sshd_config, ssh_config and nix.conf. */
  readonly sshdConfig?: readonly string[];
  readonly sshConfig?: readonly string[];
  readonly nixConf?: readonly string[];
  /** Bytes of a file system of its own for the remote's store and state. */
  readonly diskSize?: number;
  /** Milliseconds that every byte takes to get there, and to come back. */
  readonly delayMs?: number;
  /** A command line that the namespace starts in, such as `ip netns exec NAME`. */
  readonly inside?: readonly string[];
  readonly address?: string;
}

export async function startSshMachine(options: SshMachineOptions): Promise<SshMachine> {
  const { storeDir, path, sshdConfig = [], sshConfig = [], nixConf = [], inside = [], address = "127.0.0.1" } = options;
  const dir = mkdtempSync(join(realpathSync(tmpdir()), "silo-ssh-"));
  const home = join(dir, "home");
  const remote = join(dir, "remote");
  for (const each of [join(home, ".ssh"), join(remote, "store"), join(remote, "conf"), storeDir])
    mkdirSync(each, { recursive: true });
  writeFileSync(
    join(remote, "conf", "nix.conf"),
    ["build-users-group =", "sandbox = false", ...nixConf, ""].join("\n"),
  );
  for (const [file, type] of [
    ["host_key", "ed25519"],
    ["user_key", "ed25519"],
  ] as const) {
    const made = spawnSync("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", file, "-f", join(dir, file)]);
    if (made.status !== 0) throw new Error(`ssh-keygen failed: ${made.stderr}`);
  }
  const port = await freePort();
  const remoteEnv: Record<string, string> = {
    NIX_STORE_DIR: storeDir,
    NIX_STATE_DIR: join(remote, "state"),
    NIX_LOG_DIR: join(remote, "log"),
    NIX_CONF_DIR: join(remote, "conf"),
    NIX_USER_CONF_FILES: "/dev/null",
    NIX_REMOTE: "local",
  };
  // Shells have their own idea of PATH: the programs are asked for by links beside a wrapper that sets it.
  const pathLine = [...path, "/usr/bin", "/bin"].join(":");
  writeFileSync(
    join(dir, "sshd_config"),
    [
      `Port ${port}`,
      `ListenAddress ${address}`,
      `HostKey ${join(dir, "host_key")}`,
      `AuthorizedKeysFile ${join(dir, "user_key.pub")}`,
      "StrictModes no",
      "UsePAM no",
      "PermitRootLogin yes",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "PidFile none",
      "LogLevel INFO",
      "MaxStartups 100",
      `SetEnv ${Object.entries(remoteEnv)
        .map(([name, value]) => `${name}=${value}`)
        .join(" ")}`,
      `ForceCommand ${join(dir, "session")}`,
      ...sshdConfig,
      "",
    ].join("\n"),
  );
  const setPath = (directories: readonly string[]) =>
    writeFileSync(
      join(dir, "session"),
      `#!/bin/sh\nexport PATH=${[...directories, "/usr/bin", "/bin"].join(":")}\nunset SSH_CLIENT SSH_CONNECTION SSH_TTY\ncd /\neval "$SSH_ORIGINAL_COMMAND"\n`,
      { mode: 0o755 },
    );
  setPath(path);
  const slow = options.delayMs === undefined ? undefined : await startSlowNetwork(port, options.delayMs);
  const reached = slow?.port ?? port;
  const hostKey = readFileSync(join(dir, "host_key.pub"), "utf8").split(" ").slice(0, 2).join(" ");
  writeFileSync(join(home, ".ssh", "known_hosts"), `[${address}]:${reached} ${hostKey}\n`);
  const configFile = join(home, ".ssh", "config");
  writeFileSync(
    configFile,
    [
      ...sshConfig,
      "Host machine",
      `  HostName ${address}`,
      `  Port ${reached}`,
      `  User root`,
      `  IdentityFile ${join(dir, "user_key")}`,
      "  IdentitiesOnly yes",
      `  UserKnownHostsFile ${join(home, ".ssh", "known_hosts")}`,
      "",
    ].join("\n"),
  );
  const mounts = [
    "mount -t tmpfs -o mode=755 tmpfs /run",
    "mkdir /run/sshd",
    ...(options.diskSize === undefined
      ? []
      : [
          `mount -t tmpfs -o size=${options.diskSize} tmpfs ${remote}`,
          `mkdir ${remote}/store ${remote}/conf`,
          `printf 'build-users-group =\\nsandbox = false\\n' > ${remote}/conf/nix.conf`,
        ]),
    `mount --bind ${remote}/store ${storeDir}`,
  ];
  const log = join(dir, "sshd.log");
  const readLog = () => (existsSync(log) ? readFileSync(log, "utf8") : "");
  const script = `${mounts.join(" && ")} && exec ${sshd} -D -E ${log} -f ${join(dir, "sshd_config")}`;
  const [program, ...args] = [...inside, "unshare", "-m", "sh", "-c", script];
  const server: ChildProcess = spawn(program!, args, { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  server.stderr!.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  await waitForPort(address, port, inside, () => errors + readLog());

  const namespacePid = String(server.pid);
  return {
    dir,
    port,
    host: "machine",
    storeFiles: join(remote, "store"),
    clientEnv: {
      HOME: home,
      // For the ssh program, which takes the home directory from the user database.
      NIX_SSHOPTS: `-F ${configFile}`,
    },
    run(command, ...rest) {
      const enter = ["-t", namespacePid, "-m", ...(inside.length > 0 ? ["-n"] : [])];
      const result = spawnSync("nsenter", [...enter, "env", `PATH=${pathLine}`, command, ...rest], {
        env: { ...remoteEnv, HOME: home },
        maxBuffer: 1 << 30,
      });
      if (result.status !== 0) throw new Error(`${command} on the machine failed: ${result.stderr}`);
      return result.stdout.toString("latin1");
    },
    setPath,
    logins: () => readLog().split("Accepted publickey").length - 1,
    killConnections(signal) {
      for (const pid of childrenOf(server.pid!)) {
        try {
          process.kill(pid, signal);
        } catch {
          // It has just ended by itself.
        }
      }
    },
    stop() {
      slow?.stop();
      for (const pid of childrenOf(server.pid!)) tryKill(pid);
      server.kill("SIGKILL");
      deleteTree(dir);
    },
  };
}

/** A directory of links to one program, by the names that it is called by. */
export function programLinks(dir: string, program: string, names: readonly string[]): string {
  mkdirSync(dir, { recursive: true });
  for (const name of names) {
    rmSync(join(dir, name), { force: true });
    symlinkSync(program, join(dir, name));
  }
  return dir;
}

async function startSlowNetwork(port: number, delayMs: number): Promise<{ readonly port: number; stop(): void }> {
  const script = new URL("slow-network.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [script, String(port), String(delayMs)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  return { port: Number(line.toString()), stop: () => void child.kill() };
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
    return text
      .split(" ")
      .filter((each) => each !== "")
      .map(Number);
  } catch {
    return [];
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** sshd has no way to tell that it listens but to answer. */
async function waitForPort(
  address: string,
  port: number,
  inside: readonly string[],
  errors: () => string,
): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (Date.now() < deadline) {
    const [program, ...args] = [
      ...inside,
      "sh",
      "-c",
      `ssh-keyscan -T 2 -p ${port} ${address} 2>/dev/null | grep -q ssh-`,
    ];
    if (spawnSync(program!, args).status === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`sshd does not listen: ${errors()}`);
}
