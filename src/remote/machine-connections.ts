/**
 * Starting programs on one machine: over one ssh connection as long as it has room for channels, over a second one when the server allows no more, anew
 * when it broke. A program for `localhost` (exactly) runs here.
 */
import type { Environment } from "../store/directories.ts";
import type { Reporter } from "../store/reporter.ts";
import type { Timeouts } from "./greeting-timeout.ts";
import { startLocally } from "./local-process.ts";
import type { RemoteProcess } from "./remote-process.ts";
import { CannotConnect, connectSsh, type SshConnection, TooManyChannels } from "./ssh/connection.ts";
import { resolveSshTarget } from "./ssh/ssh-target.ts";
import type { RemoteStoreAddress } from "./store-uri.ts";

export interface MachineConnections {
  readonly name: string;
  /** For programs that were started. */
  readonly timeouts: Timeouts;
  /** @param onStderr told of what the program writes to its standard error @throws (rejects) CannotConnect and its neighbours */
  start(command: string, onStderr?: (chunk: Uint8Array) => void): Promise<RemoteProcess>;
  close(): void;
}

export interface ConnectionOptions {
  readonly env: Environment;
  readonly reporter: Reporter;
  /** 0 for what ssh's configuration says. */
  readonly connectTimeoutMs: number;
  /** For answers that need no work over there; 0 for no limit. */
  readonly stalledTimeoutMs: number;
  /** How often to try, with growing pauses between. */
  readonly attempts: number;
}

/** The pause after the first failure; it doubles. Milliseconds. */
const firstPause = 500;
/** Connections on which one program is tried to be started. */
const maxTries = 3;
const usualGreetingTimeoutMs = 60_000;

/** Connects when the first program is started. */
export function machineConnections(address: RemoteStoreAddress, options: ConnectionOptions): MachineConnections {
  const { name } = address;
  const timeouts = {
    greetingMs: options.connectTimeoutMs || usualGreetingTimeoutMs,
    stalledMs: options.stalledTimeoutMs,
  };
  if (address.isHere) {
    return {
      name,
      timeouts,
      start: async (command, onStderr) => startLocally(name, command, options.env, onStderr),
      close() {},
    };
  }
  const open: SshConnection[] = [];
  const full = new WeakSet<SshConnection>();
  let connecting: Promise<SshConnection> | undefined;
  let isClosed = false;

  async function connect(): Promise<SshConnection> {
    const resolved = resolveSshTarget({ ...address, connectTimeoutMs: options.connectTimeoutMs }, options.env);
    const target = { ...resolved, name }; // as the user calls it, in all that is said of it
    for (let attempt = 1, pause = firstPause; ; attempt++, pause *= 2) {
      try {
        const connection = await connectSsh(target);
        if (isClosed) connection.close();
        open.push(connection);
        void connection.closed.then(() => void open.splice(open.indexOf(connection), 1));
        return connection;
      } catch (error) {
        if (!(error instanceof CannotConnect) || attempt >= options.attempts || isClosed) throw error;
        options.reporter.message("warning", `${error.message}; trying again in ${pause / 1000} s`);
        await new Promise((resolve) => setTimeout(resolve, pause * (0.75 + Math.random() / 2)));
      }
    }
  }

  /** Whoever comes while one is being made waits for it. */
  function newConnection(): Promise<SshConnection> {
    connecting ??= connect().finally(() => {
      connecting = undefined;
    });
    return connecting;
  }

  return {
    name,
    timeouts,
    async start(command, onStderr) {
      for (let tries = 1; ; tries++) {
        const connection = open.find((each) => each.isOpen && !full.has(each)) ?? (await newConnection());
        try {
          const process = await connection.exec(command, onStderr);
          void process.exited.then(() => full.delete(connection));
          return process;
        } catch (error) {
          if (tries >= maxTries) throw error;
          // No room on this connection, or it broke: in both cases another one may do.
          if (error instanceof TooManyChannels) full.add(connection);
          else if (connection.isOpen || !(error instanceof CannotConnect)) throw error;
        }
      }
    },
    close() {
      isClosed = true;
      for (const connection of [...open]) connection.close();
    },
  };
}
