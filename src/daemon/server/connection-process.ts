/**
 * The process that serves one connection. It starts before there is a client, so that a client finds it ready; accepts one connection from the
 * daemon's listening socket; reports who that is and waits for the decision; serves; and ends. When the daemon has gone before, it ends at once:
 * it holds the listening socket, and one that nobody answers on must not look alive.
 */
import { SiloError, UnexpectedEnd } from "../../error.ts";
import { close, O_RDWR, open, read, writeAll } from "../../sys/descriptor.ts";
import { fdReader } from "../../sys/fd-reader.ts";
import { isHungUp, poll } from "../../sys/poll.ts";
import { check, tryCall } from "../../sys/syscall.ts";
import { isSystemError } from "../../sys/system-error.ts";
import { limitAccept, peerCredentials, shutdownWriting, tryAccept } from "../../sys/unix-socket.ts";
import { type AcceptedPeer, type Decision, decodeLine, encodeLine } from "./hand-over.ts";
import { type Connection, refuseConnection } from "./serve-connection.ts";
import { timedReader } from "./timed-reader.ts";

/** Descriptors that the daemon starts the process with. */
const decisionFd = 0;
const reportFd = 1;
export const listenFd = 3;

/** A client that is refused, or whose last request failed, gets this long to notice. */
const farewellMs = 3000;
/** Bytes of such a client's data that are thrown away meanwhile. */
const maxFarewellBytes = 1 << 30;

export type ServedPeer = AcceptedPeer & Extract<Decision, { kind: "serve" }>;

export interface ConnectionOptions {
  /** What there is to do while no client has come. */
  prepare(): Promise<void>;
  /** The conversation itself. */
  serve(connection: Connection, peer: ServedPeer): Promise<void>;
  log(line: string): void;
}

/** Resolves when the connection has ended, or none came. */
export async function runConnectionProcess({ prepare, serve, log }: ConnectionOptions): Promise<void> {
  // A client that waits already gains nothing from preparations.
  if (!isClientWaiting()) await prepare();
  const socket = acceptOne();
  if (socket === undefined) return;
  const peer = peerCredentials(socket);
  if (peer === undefined) return;
  writeAll(reportFd, encodeLine(peer));
  const line = readLine(decisionFd);
  if (line === undefined) return;
  const decision = decodeLine<Decision>(line);
  detach();
  if (decision.kind === "refuse") {
    refuse(socket, decision.reason);
    return;
  }
  const { trust } = decision;
  const connection: Connection = {
    input: fdReader(socket, `the client (pid ${peer.pid})`),
    write: (bytes) => writeAll(socket, bytes),
    isGone: () => isHungUp(socket),
    peer: { trust, uid: peer.uid },
  };
  try {
    await serve(connection, { ...peer, ...decision });
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    // A client that goes away before it has said anything is no news.
    const who = `pid ${peer.pid}, user ${decision.user}`;
    if (isSystemError(error, "ECONNRESET")) log(`${who}: the client has disconnected`);
    else if (!(error instanceof UnexpectedEnd)) log(`${who}: ${error.message}`);
  }
  sayFarewell(socket);
}

function isClientWaiting(): boolean {
  return poll([{ fd: listenFd, wait: "readable" }], 0)[0]!.readable;
}

/** Waits for a client; undefined when the daemon has ended first. */
function acceptOne(): number | undefined {
  // Of several processes that see the same client one gets it; the others must not wait for the next in accept, where they would not
  // notice the daemon's end. O_NONBLOCK would not last: it is the socket's, and starting a process clears it.
  limitAccept(listenFd, 1);
  for (;;) {
    const [client, daemon] = poll([
      { fd: listenFd, wait: "readable" },
      { fd: decisionFd, wait: "nothing" },
    ]);
    if (daemon!.hangup) return undefined;
    if (!client!.readable) continue;
    const socket = tryAccept(listenFd);
    if (socket >= 0) return socket;
    if (!passing.has(-socket)) check(socket, () => "accepting a connection");
  }
}

/** Another process was faster (EAGAIN), or the client has gone again (ECONNABORTED, EPROTO). */
const passing: ReadonlySet<number> = new Set([11, 103, 71]);

function readLine(fd: number): string | undefined {
  const parts: Buffer[] = [];
  const buffer = Buffer.alloc(65536);
  for (;;) {
    const count = read(fd, buffer);
    if (count === 0) return undefined;
    parts.push(Buffer.from(buffer.subarray(0, count)));
    if (buffer[count - 1] === 0x0a) return Buffer.concat(parts).toString("utf8");
  }
}

/** From here on the process belongs to its client: a daemon that ends leaves it alone, and so does Ctrl-C in the daemon's terminal. */
function detach(): void {
  close(listenFd);
  const nothing = open("/dev/null", O_RDWR);
  for (const fd of [decisionFd, reportFd]) check(tryCall("dup3", nothing, fd, 0), () => "redirecting a descriptor");
  if (nothing > 2) close(nothing);
  tryCall("setsid");
}

function refuse(socket: number, reason: string): void {
  const connection: Connection = {
    input: timedReader(socket, Date.now() + farewellMs),
    write: (bytes) => writeAll(socket, bytes),
    isGone: () => isHungUp(socket),
    peer: { trust: "untrusted", uid: undefined },
  };
  try {
    refuseConnection(connection, reason);
  } catch (error) {
    if (!(error instanceof SiloError)) throw error; // it has gone, is too slow, or speaks something else
  }
  sayFarewell(socket);
}

/**
 * Lets a client that is still sending read what it was told last: closing a socket with unread data would take that away. One that goes on
 * sending, or stays, is cut off.
 */
function sayFarewell(socket: number): void {
  shutdownWriting(socket);
  const reader = timedReader(socket, Date.now() + farewellMs);
  try {
    for (let size = 0; size < maxFarewellBytes && !reader.atEnd(); ) size += reader.takeSome(65536).length;
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
  }
  close(socket);
}
