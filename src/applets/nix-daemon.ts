/** nix-daemon, and `silo daemon`: does the privileged work on the store for other users (src/daemon/server). */
import { spawn } from "node:child_process";
import { UsageError } from "../error.ts";
import { runConnectionProcess } from "../daemon/server/connection-process.ts";
import { createDaemonSocket, type DaemonSocket } from "../daemon/server/daemon-socket.ts";
import { settingsOf } from "../daemon/server/hand-over.ts";
import { type Connection, type ServerOptions, serveConnection } from "../daemon/server/serve-connection.ts";
import { splice } from "../daemon/server/splice.ts";
import { supervise } from "../daemon/server/supervisor.ts";
import { ensureUserDirectories } from "../daemon/server/user-directories.ts";
import type { ByteString } from "../formats/byte-string.ts";
import { type Settings, settingText, withSettings } from "../formats/settings/settings.ts";
import { autoCollector } from "../gc/auto-collect.ts";
import { type Directories, directoriesFromEnvironment } from "../store/directories.ts";
import { loadSettings } from "../store/load-settings.ts";
import type { LocalStore } from "../store/local-store.ts";
import { machineFacts } from "../store/machine-facts.ts";
import { openLocalStore } from "../store/open-local-store.ts";
import { writeAll } from "../sys/descriptor.ts";
import { fdReader } from "../sys/fd-reader.ts";
import { ownCommand } from "../sys/own-program.ts";
import { isHungUp } from "../sys/poll.ts";
import { activatedSocket } from "../sys/socket-activation.ts";
import { connectUnix } from "../sys/unix-socket.ts";
import type { Applet } from "./applet.ts";
import { type CommandLine, commandApplet } from "./command-line.ts";
import type { CommandSpec } from "./command-line/option-spec.ts";
import { daemonServices } from "./daemon-services.ts";
import type { Io } from "./io.ts";
import { openSession, type Session } from "./session.ts";
import { type LocalDirectories, locateStore, type StoreLocation } from "./store-location.ts";

/** What the daemon starts its own processes with; nobody else does. */
const connectionFlag = "--serve-connection";
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

const spec = (name: string, family: CommandSpec["family"]): CommandSpec<keyof typeof options> => ({
  name,
  family,
  summary: "serve the store to other users of this machine",
  usage: ["[--background] [--max-clients NUMBER]", "--stdio"],
  examples: [
    { does: "As root, for everybody", command: name },
    { does: "How others use it then", command: "NIX_REMOTE=daemon nix-build" },
  ],
  options,
});

export const nixDaemon: Applet = daemonApplet(spec("nix-daemon", "nix"));
export const siloDaemon: Applet = daemonApplet(spec("silo daemon", "silo"));

function daemonApplet(command: CommandSpec<keyof typeof options>): Applet {
  const applet = commandApplet(command, runDaemon);
  return { ...applet, run: (args, io) => (args[0] === connectionFlag ? serveNext(args[1], io) : applet.run(args, io)) };
}

async function runDaemon(line: CommandLine<keyof typeof options>, io: Io): Promise<number> {
  if (line.operands.length > 0) throw new UsageError(`unexpected operand '${line.operands[0]}'`);
  const session = openSession(line, io);
  if (line.has("stdio")) return serveStdio(session);
  if (line.has("background")) return startInBackground(session);
  return listen(session, maxClients(line));
}

function maxClients(line: CommandLine<keyof typeof options>): number {
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
  const activated = activatedSocket(process.env, process.pid);
  const socket = activated === undefined ? createDaemonSocket(path) : givenSocket(activated);
  process.chdir("/");
  let settings: Settings | undefined = initial;
  return supervise({
    socket,
    renewSocket: activated === undefined ? () => createDaemonSocket(path) : undefined,
    command: [...ownProgram(), connectionFlag, locationText(initial)],
    env: process.env,
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

/** The store that is served, for the processes that open it. */
function locationText(settings: Settings): string {
  return settingText(settings, "store");
}

/** A connection process: serves one client, whoever comes next. */
async function serveNext(store: string | undefined, io: Io): Promise<number> {
  const directories = directoriesFromEnvironment(io.env);
  const local = localDirectories(locateStore((store ?? "local") as ByteString, directories), directories);
  const log = (line: string) => io.err(line);
  await runConnectionProcess((connection, { pid, uid, user, settings }) => {
    const effective = settingsOf(machineFacts(io.env, local.confDir), settings);
    return serve(
      connection,
      local,
      effective,
      (line) => log(`pid ${pid}, user ${user}: ${line}`),
      (opened) => ensureUserDirectories(opened.stateDir, user, uid),
    );
  }, log);
  return 0;
}

async function serveStdio({ io, directories, settings }: Session): Promise<number> {
  const location = locateStore(settingText(settings, "store"), directories);
  if (location.kind === "daemon") {
    splice(io.stdinFd, io.stdoutFd, connectUnix(location.socket));
    return 0;
  }
  const connection: Connection = {
    input: fdReader(io.stdinFd, "the client"),
    write: (bytes) => writeAll(io.stdoutFd, bytes),
    isGone: () => isHungUp(io.stdinFd) || isHungUp(io.stdoutFd),
    peer: { trust: "trusted", uid: undefined },
  };
  await serve(
    connection,
    localDirectories(location, directories),
    settings,
    (line) => io.err(line),
    () => {},
  );
  return 0;
}

function serve(
  connection: Connection,
  directories: LocalDirectories,
  settings: Settings,
  log: (line: string) => void,
  onOpen: (store: LocalStore) => void,
): Promise<void> {
  const serverOptions: ServerOptions = {
    storeDir: directories.storeDir,
    openStore(reporter) {
      const store = openLocalStore({
        ...directories,
        settings,
        reporter,
        access: "read-write",
        makeRoom: autoCollector(),
      });
      onOpen(store);
      return store;
    },
    services: (store, builderOutput) =>
      daemonServices(store, process.env, builderOutput === "lines" ? "shown" : "hidden"),
    log,
    onInterrupt(interrupt) {
      for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, interrupt);
      return () => {
        for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.off(signal, interrupt);
      };
    },
  };
  return serveConnection(connection, serverOptions);
}

/** A daemon is where others find the store: it opens the one of this machine itself. */
function localDirectories(location: StoreLocation, directories: Directories): LocalDirectories {
  if (location.kind === "local") return location.directories;
  const local = locateStore("local" as ByteString, directories);
  if (location.kind === "daemon" && local.kind === "local") return local.directories;
  throw new UsageError("a daemon serves a local store");
}

/** Resolves when the socket answers, or the daemon has ended. */
async function startInBackground({ directories }: Session): Promise<number> {
  const [, ...args] = ownCommand();
  const flags = process.argv.slice(2).filter((arg) => arg !== "--background" && arg !== "daemon");
  const child = spawn("/proc/self/exe", [...args, ...flags], {
    argv0: "nix-daemon",
    cwd: "/",
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
  const { tryConnectUnix } = await import("../sys/unix-socket.ts");
  const { close } = await import("../sys/descriptor.ts");
  while (!hasEnded()) {
    const fd = tryConnectUnix(path);
    if (fd >= 0) {
      close(fd);
      return 0;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return new Promise(() => {});
}
