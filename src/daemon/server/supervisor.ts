/**
 * The daemon itself: keeps processes waiting for clients (connection-process.ts), decides for each accepted client whether and how it is served,
 * and starts the next process. It reads nothing that a client sends, so no client can hurt it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { SiloError } from "../../error.ts";
import type { Settings } from "../../formats/settings/settings.ts";
import { findGroup, findGroupById, findUserById } from "../../sys/user-database.ts";
import { decideAccess, type PeerIdentity } from "./access.ts";
import { listenFd } from "./connection-process.ts";
import type { DaemonSocket } from "./daemon-socket.ts";
import { type AcceptedPeer, assignmentsOf, type Decision, decodeLine, encodeLine } from "./hand-over.ts";

export interface SupervisorOptions {
  /** Where clients connect. */
  readonly socket: DaemonSocket;
  /** Makes the socket again when its file has been removed; undefined when it is not ours to make. */
  readonly renewSocket: (() => DaemonSocket) | undefined;
  /** What starts a connection process: the program and its arguments. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads the settings afresh. @throws SiloError when they make no sense */
  loadSettings(): Settings;
  /** Clients that are served at once. */
  readonly maxClients: number;
  log(line: string): void;
}

/** Processes that wait for a client. */
const waitingProcesses = 2;
/** The next process starts so much later, when whoever asks little has its answer: starting takes a processor for as long. */
const refillMs = 12;
/** Of the clients that are served at once, so many only if they are trusted: others cannot lock the administrator out. */
const keptForTrusted = 8;
/** Clients that are told at once why they are refused, which may take seconds; more of them are only disconnected. */
const maxRefusing = 32;
/** A process that ends sooner than this without a client has failed to start; the next one waits as long. */
const restartMs = 1000;
/** How often to look whether the socket's file is still there. */
const socketCheckMs = 2000;

/** Serves until a signal ends it; the exit status. SIGHUP reads the settings again. @throws SiloError when they cannot be read at first */
export function supervise(options: SupervisorOptions): Promise<number> {
  const { command, env, log, maxClients } = options;
  const [program, ...args] = command;
  let { socket } = options;
  let settings = options.loadSettings();
  let isEnding = false;
  const waiting = new Set<ChildProcess>();
  const serving = new Set<ChildProcess>();
  const refusing = new Set<ChildProcess>();

  function fill(): void {
    while (!isEnding && waiting.size < waitingProcesses) start();
  }

  function start(): void {
    const startedAt = Date.now();
    const stdio: ("pipe" | "inherit" | number)[] = ["pipe", "pipe", "inherit"];
    stdio[listenFd] = socket.fd;
    const child = spawn(program!, args, { argv0: "nix-daemon", cwd: "/", env: { ...env }, stdio });
    waiting.add(child);
    let text = "";
    child.stdout!.setEncoding("utf8");
    child.stdout!.on("data", (part: string) => {
      text += part;
      if (!text.endsWith("\n")) return;
      waiting.delete(child);
      decideFor(child, decodeLine<AcceptedPeer>(text));
      if (waiting.size === 0) fill();
      else setTimeout(fill, refillMs);
    });
    child.stdin!.on("error", () => {}); // it has ended, which is noticed below
    child.on("error", (error) => log(`cannot start a process for connections: ${error.message}`));
    child.on("close", (status, signal) => {
      serving.delete(child);
      const wasRefusing = refusing.delete(child);
      if (wasRefusing) return;
      if (signal !== null && !isEnding) log(`process ${child.pid} was killed by ${signal}`);
      if (!waiting.delete(child) || isEnding) return;
      if (Date.now() - startedAt >= restartMs || status === 0) fill();
      else setTimeout(fill, restartMs);
    });
  }

  function decideFor(child: ChildProcess, peer: AcceptedPeer): void {
    const decision = decide(peer, settings, serving.size, maxClients);
    (decision.kind === "serve" ? serving : refusing).add(child);
    const who = `pid ${peer.pid}, user ${identify(peer).user}`;
    if (decision.kind === "refuse") log(`refused connection from ${who}: ${decision.reason}`);
    else log(`accepted connection from ${who}${decision.trust === "trusted" ? " (trusted)" : ""}`);
    if (refusing.size > maxRefusing) child.kill("SIGKILL");
    else child.stdin!.end(encodeLine(decision));
  }

  function reload(): void {
    try {
      settings = options.loadSettings();
      log("read the settings again");
    } catch (error) {
      if (!(error instanceof SiloError)) throw error;
      log(`keeping the settings as they were: ${error.message}`);
    }
  }

  /** Waiting processes hold the old socket: they go with it. */
  function checkSocket(): void {
    if (options.renewSocket === undefined || socket.state() !== "gone") return;
    try {
      const next = options.renewSocket();
      log("the socket's file was removed, made it again");
      socket.remove();
      socket = next;
    } catch (error) {
      if (!(error instanceof SiloError)) throw error;
      log(error.message);
      return;
    }
    for (const child of waiting) child.stdin!.end();
    waiting.clear();
    fill();
  }

  return new Promise((resolve) => {
    const timer = setInterval(checkSocket, socketCheckMs);
    const end = (others: "leave" | "kill") => {
      if (isEnding) return;
      isEnding = true;
      clearInterval(timer);
      socket.remove();
      for (const child of waiting) child.stdin!.end();
      if (others === "kill") for (const child of serving) child.kill("SIGTERM");
      resolve(0);
    };
    process.on("SIGHUP", reload);
    // As with Nix, clients that are being served go on: whoever upgrades the daemon does not want their builds to fail.
    process.on("SIGTERM", () => end("leave"));
    process.on("SIGINT", () => end("kill"));
    fill();
  });
}

function decide(peer: AcceptedPeer, settings: Settings, serving: number, maxClients: number): Decision {
  const access = decideAccess(settings, identify(peer), (group) => findGroup(group)?.members ?? []);
  if (access.kind === "refused") return { kind: "refuse", reason: access.reason };
  const limit = access.trust === "trusted" ? maxClients + keptForTrusted : maxClients;
  if (serving >= limit)
    return { kind: "refuse", reason: `too many clients: the daemon serves at most ${maxClients} at once` };
  return { kind: "serve", trust: access.trust, user: identify(peer).user, settings: assignmentsOf(settings) };
}

function identify({ uid, gid }: AcceptedPeer): PeerIdentity {
  return { uid, user: findUserById(uid)?.name ?? String(uid), group: findGroupById(gid)?.name ?? String(gid) };
}
