/** The command line of the daemon: what it listens on, and how it is started. */
import { spawn } from "node:child_process";
import { UsageError } from "../../error.ts";
import { createDaemonSocket, type DaemonSocket } from "../../daemon/server/daemon-socket.ts";
import { supervise } from "../../daemon/server/supervisor.ts";
import { type Settings, settingText, withSettings } from "../../formats/settings/settings.ts";
import { loadSettings } from "../../store/load-settings.ts";
import { close } from "../../sys/descriptor.ts";
import { ownCommand, shortLivedEnvironment } from "../../sys/own-program.ts";
import { activatedSocket } from "../../sys/socket-activation.ts";
import { tryConnectUnix } from "../../sys/unix-socket.ts";
import type { Applet } from "../applet.ts";
import { type CommandLine, commandApplet } from "../command-line.ts";
import type { CommandSpec } from "../command-line/option-spec.ts";
import type { Io } from "../io.ts";
import { connectionFlag } from "../nix-daemon.ts";
import { openSession, type Session } from "../session.ts";
import { printLocalStore, servedDirectories } from "./served-store.ts";

const defaultMaxClients = 256;

const options = {
  stdio: { help: "Serve one client on standard input and output; it is trusted" },
  daemon: { help: "Listen on the socket, as without options; for compatibility" },
  foreground: { help: "Stay in the foreground, as is the default" },
  background: { help: "Return when the socket is there, and go on in the background" },
  "max-clients": {
    operands: ["NUMBER"],
    help: `Serve at most so many clients at once; ${defaultMaxClients} unless told`,
  },
} as const;

type DaemonLine = CommandLine<keyof typeof options>;

export function daemonCommand(name: string, family: CommandSpec["family"]): Applet {
  const spec: CommandSpec<keyof typeof options> = {
    name,
    family,
    summary: "Serve the store to other users of this machine",
    usage: ["[--background] [--max-clients NUMBER]", "--stdio"],
    examples: [
      { does: "As root, for everybody", command: name },
      { does: "How others use it then", command: "NIX_REMOTE=daemon nix-build" },
    ],
    options,
  };
  return commandApplet(spec, runDaemon);
}

async function runDaemon(line: DaemonLine, io: Io): Promise<number> {
  if (line.operands.length > 0) throw new UsageError(`unexpected operand '${line.operands[0]}'`);
  const session = openSession(line, io);
  if (line.has("stdio")) {
    const { serveStdio } = await import("./serve-stdio.ts");
    return serveStdio(session);
  }
  if (line.has("background")) return startInBackground(session);
  return listen(session, maxClients(line));
}

function maxClients(line: DaemonLine): number {
  const text = line.last("max-clients");
  if (text === undefined) return defaultMaxClients;
  if (!/^[1-9][0-9]{0,5}$/.test(text))
    throw new UsageError(`flag '--max-clients' needs a number from 1 on, not '${text}'`);
  return Number(text);
}

/** The accept loop. */
async function listen({ io, directories, flags, settings: initial }: Session, clients: number): Promise<number> {
  process.umask(0o022);
  const path = directories.daemonSocket;
  const served = printLocalStore(servedDirectories(settingText(initial, "store"), directories));
  const activated = activatedSocket(process.env, process.pid);
  const socket = activated === undefined ? createDaemonSocket(path) : givenSocket(activated);
  process.chdir("/");
  let settings: Settings | undefined = initial;
  return supervise({
    socket,
    renewSocket: activated === undefined ? () => createDaemonSocket(path) : undefined,
    command: [...ownProgram(), connectionFlag, served],
    env: shortLivedEnvironment(process.env),
    maxClients: clients,
    loadSettings() {
      const loaded = settings ?? withSettings(loadSettings(io.env, directories).settings, flags.assignments);
      settings = undefined; // read again from the second time on
      return loaded;
    },
    log: (line) => io.err(line),
  });
}

/** systemd removes its socket by itself. */
function givenSocket(fd: number): DaemonSocket {
  return { fd, state: () => "ours", remove() {} };
}

/** The running program, also when its file has been replaced meanwhile. */
function ownProgram(): string[] {
  const [, ...args] = ownCommand();
  return ["/proc/self/exe", ...args];
}

/** Resolves when the socket answers, or the daemon has ended. */
async function startInBackground({ directories }: Session): Promise<number> {
  const [program, ...args] = ownProgram();
  const flags = process.argv.slice(2).filter((arg) => arg !== "--background" && arg !== "daemon");
  const child = spawn(program!, [...args, ...flags], {
    argv0: "nix-daemon",
    detached: true,
    env: process.env,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = new Promise<number>((resolve) => child.on("exit", (status) => resolve(status ?? 1)));
  const ready = waitForSocket(directories.daemonSocket, () => child.exitCode !== null);
  const status = await Promise.race([ended, ready]);
  child.unref();
  return status;
}

async function waitForSocket(path: string, hasEnded: () => boolean): Promise<number> {
  while (!hasEnded()) {
    const fd = tryConnectUnix(path);
    if (fd >= 0) {
      close(fd);
      return 0;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return new Promise(() => {}); // its status is what counts
}
