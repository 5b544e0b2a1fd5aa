/**
 * A connection to an ssh server, which carries many channels. ssh2 speaks the protocol; what it is given and what its failures mean is here.
 *
 * Ciphers are those that node:crypto does fast and that work on both runtimes: ssh2's chacha20-poly1305 does not under Bun.
 * Compression only saves: where ssh2 cannot do it, as under Deno, nothing is compressed.
 */
import { spawn } from "node:child_process";
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import type { Client, ClientChannel } from "ssh2";
import { SiloError } from "../../error.ts";
import { zlibHandles } from "../../sys/zlib-handles.ts";
import type { RemoteExit, RemoteProcess } from "../remote-process.ts";
import { streamProcess } from "../stream-process.ts";
import { checkHostKey, HostKeyRefused, hostKeyAlgorithms, knownHostsOf } from "./host-key-check.ts";
import { gatherWrites } from "./gather-writes.ts";
import { findIdentities } from "./identities.ts";
import type { SshTarget } from "./ssh-target.ts";

export interface SshConnection {
  readonly name: string;
  /** Resolves when the program has been started. @throws (rejects) TooManyChannels, CannotConnect */
  exec(command: string, onStderr?: (chunk: Uint8Array) => void): Promise<RemoteProcess>;
  /** A connection from there to another machine. @throws (rejects) CannotConnect */
  forward(host: string, port: number): Promise<Duplex>;
  /** Resolves with the reason when the connection is no more; never rejects. */
  readonly closed: Promise<SiloError>;
  readonly isOpen: boolean;
  close(): void;
}

/** The host cannot be reached, or the connection broke: trying again may help. */
export class CannotConnect extends SiloError {
  readonly code = "cannot-connect";
  constructor(
    readonly host: string,
    readonly reason: string,
    cause?: unknown,
  ) {
    super(`Cannot connect to '${host}': ${reason}`, { cause });
  }
}

export class SshAuthenticationFailed extends SiloError {
  readonly code = "ssh-authentication-failed";
  constructor(
    readonly host: string,
    readonly user: string,
    readonly notes: readonly string[],
  ) {
    super(
      `Cannot log in to '${host}' as '${user}': permission denied, it accepts none of our keys` +
        notes.map((note) => `; ${note}`).join(""),
    );
  }
}

/** The server opens no more channels on this connection (MaxSessions): another connection may have room. */
export class TooManyChannels extends SiloError {
  readonly code = "too-many-channels";
}

const ciphers = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr"];

/** @throws (rejects) CannotConnect, HostKeyRefused, SshAuthenticationFailed */
export async function connectSsh(target: SshTarget): Promise<SshConnection> {
  const ssh2 = await import("ssh2");
  const transport = await openTransport(target);
  try {
    return await logIn(ssh2, target, transport);
  } catch (error) {
    transport.socket.destroy();
    transport.through?.close();
    throw error;
  }
}

interface Transport {
  readonly socket: Duplex;
  /** The connection that carries this one. */
  readonly through: SshConnection | undefined;
}

async function logIn(
  ssh2: typeof import("ssh2"),
  target: SshTarget,
  { socket, through }: Transport,
): Promise<SshConnection> {
  const known = knownHostsOf(target);
  const { methods, notes } = await findIdentities(ssh2, target);
  const client: Client = new ssh2.Client();
  let refused: SiloError | undefined;
  let failure: SiloError | undefined;
  let next = 0;
  let isOpen = false;
  const closed = new Promise<SiloError>((resolve) => {
    client.on("close", () => {
      isOpen = false;
      through?.close();
      resolve(refused ?? failure ?? new CannotConnect(target.name, "the connection was closed"));
    });
  });
  const ready = new Promise<void>((resolve, reject) => {
    client.on("ready", resolve);
    client.on("error", (error) => {
      failure ??= explain(target, error, notes);
      reject(refused ?? failure);
    });
    void closed.then(reject);
  });
  gatherWrites(socket);
  client.connect({
    sock: socket,
    username: target.user,
    readyTimeout: target.connectTimeoutMs,
    keepaliveInterval: target.keepAliveMs,
    keepaliveCountMax: target.keepAliveCount,
    algorithms: {
      cipher: ciphers,
      serverHostKey: hostKeyAlgorithms(target, known),
      compress: target.compression && zlibHandles === "usable" ? ["zlib@openssh.com", "none"] : ["none"],
    },
    hostVerifier(key) {
      try {
        checkHostKey(target, known, key);
        return true;
      } catch (error) {
        if (!(error instanceof HostKeyRefused)) throw error;
        refused = error;
        return false;
      }
    },
    authHandler: () => methods[next++] ?? false,
  });
  await ready;
  isOpen = true;
  return {
    name: target.name,
    closed,
    get isOpen() {
      return isOpen;
    },
    exec: (command, onStderr) => exec(client, target, closed, command, onStderr),
    forward: (host, port) => forward(client, target, host, port),
    close: () => void client.end(),
  };
}

function explain(target: SshTarget, error: Error & { level?: string }, notes: readonly string[]): SiloError {
  switch (error.level) {
    case "client-authentication":
      return new SshAuthenticationFailed(target.name, target.user, notes);
    case "client-timeout":
      return new CannotConnect(
        target.name,
        error.message === "Keepalive timeout" ? "it does not answer any more" : "it does not answer in time",
        error,
      );
    case "handshake":
      return new CannotConnect(target.name, `no agreement on how to encrypt: ${error.message}`, error);
    default:
      return new CannotConnect(target.name, networkReason(error), error);
  }
}

function exec(
  client: Client,
  target: SshTarget,
  closed: Promise<SiloError>,
  command: string,
  onStderr?: (chunk: Uint8Array) => void,
): Promise<RemoteProcess> {
  return new Promise((resolve, reject) => {
    void closed.then(reject);
    const opened = (error: Error | undefined, channel: ClientChannel) => {
      if (error === undefined) resolve(channelProcess(target.name, channel, closed, onStderr));
      else if (/open fail/i.test(error.message))
        reject(new TooManyChannels(`'${target.name}' opens no more channels: ${error.message}`));
      else reject(new CannotConnect(target.name, error.message, error));
    };
    try {
      client.exec(command, opened);
    } catch (error) {
      reject(new CannotConnect(target.name, error instanceof Error ? error.message : String(error), error));
    }
  });
}

function forward(client: Client, through: SshTarget, host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    client.forwardOut("127.0.0.1", 0, host, port, (error, channel) => {
      if (error === undefined) resolve(channel);
      else reject(new CannotConnect(host, `'${through.name}' does not reach it: ${error.message}`, error));
    });
  });
}

function channelProcess(
  name: string,
  channel: ClientChannel,
  closed: Promise<SiloError>,
  onStderr?: (chunk: Uint8Array) => void,
): RemoteProcess {
  let status: number | undefined;
  channel.on("exit", (code) => {
    status = code ?? undefined;
  });
  const { promise: ended, resolve } = Promise.withResolvers<Omit<RemoteExit, "stderr">>();
  channel.on("close", () => {
    // A broken connection closes its channels first: give it the chance to say why.
    if (status !== undefined) resolve({ status, error: undefined });
    else setImmediate(() => void Promise.race([closed, undefined]).then((error) => resolve({ status, error })));
  });
  void closed.then((error) => resolve({ status, error }));
  const kill = () => {
    channel.signal("KILL");
    channel.close();
    resolve({ status: undefined, error: undefined }); // the server may wait for a program that it does not kill
  };
  return streamProcess(name, { stdin: channel, stdout: channel, stderr: channel.stderr, ended, kill }, onStderr);
}

async function openTransport(target: SshTarget): Promise<Transport> {
  if (target.jumps.length > 0) {
    const last = target.jumps[target.jumps.length - 1]!;
    const through = await connectSsh({ ...last, jumps: target.jumps.slice(0, -1) });
    return { socket: await through.forward(target.host, target.port), through };
  }
  if (target.proxyCommand !== undefined) return { socket: startProxy(target.proxyCommand), through: undefined };
  return { socket: await openSocket(target), through: undefined };
}

function openSocket(target: SshTarget): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: target.host, port: target.port, family: target.addressFamily, noDelay: true });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(
        new CannotConnect(
          target.name,
          `no connection to ${target.host}, port ${target.port}, within ${target.connectTimeoutMs / 1000} s`,
        ),
      );
    }, target.connectTimeoutMs);
    socket.once("error", (error) => {
      clearTimeout(timer);
      reject(new CannotConnect(target.name, networkReason(error), error));
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}

function startProxy(command: string): Duplex {
  const { stdin, stdout, ...child } = spawnProxy(command);
  const duplex = new Duplex({
    read: () => void stdout.resume(),
    write: (chunk, _, done) => void stdin.write(chunk, done),
    final: (done) => void stdin.end(done),
    destroy(error, done) {
      child.kill();
      done(error);
    },
  });
  stdout.on("data", (chunk) => {
    if (!duplex.push(chunk)) stdout.pause();
  });
  stdout.on("end", () => duplex.push(null));
  stdin.on("error", (error) => duplex.destroy(error));
  return duplex;
}

function spawnProxy(command: string) {
  const child = spawn("/bin/sh", ["-c", `exec ${command}`], { stdio: ["pipe", "pipe", "inherit"] });
  return { stdin: child.stdin, stdout: child.stdout, kill: () => child.kill() };
}

function networkReason(error: Error): string {
  const code = "code" in error ? error.code : undefined;
  const reason = typeof code === "string" ? networkReasons[code] : undefined;
  return reason ?? error.message;
}

const networkReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused: no ssh server listens there",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "no route to it",
  ENETUNREACH: "network is unreachable",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "its name cannot be looked up at the moment",
  ETIMEDOUT: "it does not answer",
  EPIPE: "connection broken",
};
