/**
 * Where other processes tell a running collector their new temporary roots: the socket `gc-socket/socket` in the state
 * directory. Each line is a full path, answered with the byte `1` when it can no longer be deleted. Protocol of Nix 2.5 and
 * later; see store-layout, "Temporary roots".
 *
 * The collector is one thread of blocking calls: it serves between its steps, none of which takes long. So a path that
 * is being deleted when its root arrives has been deleted when the answer goes out, as the protocol wants it.
 */
import { decodeBytes } from "../formats/byte-string.ts";
import { close, read } from "../sys/descriptor.ts";
import { chmod } from "../sys/metadata.ts";
import { mkdirs, tryUnlink } from "../sys/names.ts";
import { poll } from "../sys/poll.ts";
import { isSystemError } from "../sys/system-error.ts";
import { listenUnix, tryAccept, trySendNow } from "../sys/unix-socket.ts";

export interface RootsServer {
  /** Takes in roots that have arrived. Returns soon; what is left over waits for the next call. */
  serve(): void;
  /** Ends all connections: clients try the lock again. */
  close(): void;
}

const backlog = 128;
/** A line without end is no path. Bytes. */
const maxLine = 8192;
/** Any user may connect, and descriptors are few. Those dropped for another connect again when they have something to say. */
const maxClients = 256;
/** Of the clients in one call: some may never stop talking. */
const maxRounds = 16;

interface Client {
  readonly fd: number;
  pending: string;
}

/** The caller holds the collector's lock. @param onRoot told each full path before it is answered @throws SystemError */
export function startRootsServer(stateDir: string, onRoot: (path: string) => void): RootsServer {
  const directory = `${stateDir}/gc-socket`;
  const path = `${directory}/socket`;
  mkdirs(directory);
  tryUnlink(path); // an earlier collector's
  const listenFd = listenUnix(path, backlog);
  chmod(path, 0o666);
  const clients = new Set<Client>();
  const buffer = Buffer.alloc(65536);

  function drop(client: Client): void {
    clients.delete(client);
    close(client.fd);
  }

  function acceptAll(): void {
    for (let i = 0; i < backlog && poll([{ fd: listenFd, wait: "readable" }], 0)[0]!.readable; i++) accept();
  }

  function accept(): void {
    const fd = tryAccept(listenFd);
    if (fd >= 0) clients.add({ fd, pending: "" });
    if (fd >= 0 && clients.size <= maxClients) return;
    for (const oldest of clients) return drop(oldest);
  }

  function receive(client: Client): void {
    let count = 0;
    try {
      count = read(client.fd, buffer);
    } catch (error) {
      if (!isSystemError(error, "ECONNRESET")) throw error; // the client has ended
    }
    if (count === 0) return drop(client);
    const lines = (client.pending + decodeBytes(buffer.subarray(0, count))).split("\n");
    client.pending = lines.pop()!;
    for (const line of lines) {
      onRoot(line);
      // A client that does not read its answers has not many roots to tell.
      if (trySendNow(client.fd, confirmation) !== 1) return drop(client);
    }
    if (client.pending.length > maxLine) drop(client);
  }

  return {
    serve() {
      for (let round = 0; round < maxRounds; round++) {
        const waiting = [...clients];
        const found = poll(
          [listenFd, ...waiting.map(({ fd }) => fd)].map((fd) => ({ fd, wait: "readable" as const })),
          0,
        );
        if (!found.some(({ readable }) => readable)) return;
        waiting.forEach((client, i) => {
          if (found[i + 1]!.readable) receive(client);
        });
        if (found[0]!.readable) acceptAll();
      }
    },
    close() {
      close(listenFd);
      for (const client of clients) close(client.fd);
      clients.clear();
    },
  };
}

const confirmation = new Uint8Array([0x31]);
