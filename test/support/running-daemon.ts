/** A daemon as a process of its own, silo's or stock Nix's, on a temporary store. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createConnection } from "node:net";
import { once } from "node:events";
import { siloProgram } from "./silo-binary.ts";
import { databaseContents, type Maker, type TempStore } from "./temp-store.ts";

export interface RunningDaemon {
  readonly process: ChildProcess;
  readonly socket: string;
  /** Every line of its standard error so far. */
  log(): string;
  /** Resolves when the log has a match. */
  waitForLog(pattern: RegExp): Promise<void>;
  /** Sends the signal; the exit status or the signal's name. */
  stop(signal?: NodeJS.Signals): Promise<number | string>;
}

export interface DaemonOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly socket?: string;
}

/** Resolves when it answers. */
export async function startDaemon(
  maker: Maker,
  store: Pick<TempStore, "env" | "stateDir">,
  options: DaemonOptions = {},
): Promise<RunningDaemon> {
  const program = maker === "silo" ? siloProgram("nix-daemon") : "nix-daemon";
  const env = { ...store.env, ...options.env };
  const socket = options.socket ?? env["NIX_DAEMON_SOCKET_PATH"] ?? `${store.stateDir}/daemon-socket/socket`;
  const child = spawn(program, options.args ?? [], { env, stdio: ["ignore", "inherit", "pipe"] });
  let text = "";
  const listeners = new Set<() => void>();
  child.stderr!.setEncoding("latin1").on("data", (part: string) => {
    text += part;
    for (const listener of [...listeners]) listener();
  });
  const ended = once(child, "exit");
  while (!(await answers(socket))) {
    if (child.exitCode !== null) throw new Error(`the daemon has ended: ${text}`);
    await Promise.race([new Promise((resolve) => setImmediate(resolve)), ended]);
  }
  return {
    process: child,
    socket,
    log: () => text,
    waitForLog: (pattern) =>
      new Promise((resolve) => {
        const look = () => {
          if (!pattern.test(text)) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        look();
      }),
    async stop(signal = "SIGTERM") {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal);
        await ended;
      }
      return child.exitCode ?? child.signalCode ?? assert.fail();
    },
  };
}

/** Does somebody accept connections? */
export function answers(socket: string): Promise<boolean> {
  if (!existsSync(socket)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const connection = createConnection(socket);
    connection.on("error", () => resolve(false));
    connection.on("connect", () => {
      connection.destroy();
      resolve(true);
    });
  });
}

/** Runs `use` with a daemon, and stops that. */
export async function withDaemon<T>(
  maker: Maker,
  store: TempStore,
  use: (daemon: RunningDaemon) => Promise<T>,
  options?: DaemonOptions,
): Promise<T> {
  const daemon = await startDaemon(maker, store, options);
  try {
    return await use(daemon);
  } finally {
    await daemon.stop("SIGINT");
  }
}

/** What the database says when the last connection has left it. */
export async function settledDatabase(store: TempStore): Promise<ReturnType<typeof databaseContents>> {
  for (;;) {
    try {
      return databaseContents(store);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes("locked")) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
