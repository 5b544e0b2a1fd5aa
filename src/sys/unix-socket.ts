/**
 * Unix stream sockets: socket(2), connect(2), bind(2), listen(2), accept(2), unix(7).
 *
 * An address holds 107 bytes of a path. A longer path is reached through its directory: `/proc/self/fd/<directory>/<name>` is short, and
 * this process's own.
 */
import { close, O_DIRECTORY, O_PATH, open } from "./descriptor.ts";
import { check, tryCall } from "./syscall.ts";
import { SystemError } from "./system-error.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_ACCEPTCONN = 30;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SHUT_WR = 1;
/** `sun_path` with its NUL. */
const maxSocketPath = 108;
const ENAMETOOLONG = 36;

/** A connected socket, or minus errno: `ECONNREFUSED` and `ENOENT` are for the caller to judge. @throws SystemError */
export function tryConnectUnix(path: string): number {
  const fd = createSocket();
  const result = withAddress(path, (address) => tryCall("connect", fd, address, address.length));
  if (result >= 0) return fd;
  close(fd);
  return result;
}

/** As {@link tryConnectUnix}. @throws SystemError, also when nobody listens */
export function connectUnix(path: string): number {
  return check(tryConnectUnix(path), () => `connecting to the socket '${path}'`);
}

/** A listening socket at a path that does not exist yet; accepting from it does not block. @throws SystemError */
export function listenUnix(path: string, backlog: number): number {
  const fd = createSocket();
  try {
    check(
      withAddress(path, (address) => tryCall("bind", fd, address, address.length)),
      () => `binding the socket '${path}'`,
    );
    check(tryCall("listen", fd, backlog), () => `listening on the socket '${path}'`);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** The next connection, blocking and close-on-exec, or minus errno. */
export function tryAccept(listenFd: number): number {
  return tryCall("accept4", listenFd, 0, 0, SOCK_CLOEXEC);
}

const SO_RCVTIMEO = 20;

/** Has {@link tryAccept} give up (EAGAIN) when no connection has come for so long. Accepted sockets do not inherit it. @throws SystemError */
export function limitAccept(listenFd: number, seconds: number): void {
  const timeval = Buffer.alloc(16);
  timeval.writeBigInt64LE(BigInt(seconds), 0);
  const result = tryCall("setsockopt", listenFd, SOL_SOCKET, SO_RCVTIMEO, timeval, timeval.length);
  check(result, () => "limiting how long a socket waits");
}

/** Is the descriptor a socket that listens? */
export function isListening(fd: number): boolean {
  const value = Buffer.alloc(4);
  return tryCall("getsockopt", fd, SOL_SOCKET, SO_ACCEPTCONN, value, socklen(4)) === 0 && value.readInt32LE(0) !== 0;
}

/** The process at the other end, as it was when it connected; undefined for what is no Unix socket. */
export function peerCredentials(
  fd: number,
): { readonly pid: number; readonly uid: number; readonly gid: number } | undefined {
  const value = Buffer.alloc(12); // struct ucred
  if (tryCall("getsockopt", fd, SOL_SOCKET, SO_PEERCRED, value, socklen(12)) < 0) return undefined;
  return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
}

/** Bytes that the kernel took without waiting, or minus errno (`EAGAIN`). */
export function trySendNow(fd: number, bytes: Uint8Array): number {
  return tryCall("sendto", fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/** The other end reads what was sent and then the end. */
export function shutdownWriting(fd: number): void {
  tryCall("shutdown", fd, SHUT_WR);
}

function createSocket(): number {
  return check(tryCall("socket", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), () => "creating a socket");
}

function withAddress(path: string, use: (address: Buffer) => number): number {
  if (path.length < maxSocketPath) return use(socketAddress(path));
  const slash = path.lastIndexOf("/");
  const name = path.slice(slash + 1);
  const directory = open(slash < 0 ? "." : path.slice(0, slash + 1), O_PATH | O_DIRECTORY);
  try {
    const short = `/proc/self/fd/${directory}/${name}`;
    if (short.length >= maxSocketPath) throw new SystemError(`using the socket '${path}'`, ENAMETOOLONG);
    return use(socketAddress(short));
  } finally {
    close(directory);
  }
}

function socketAddress(path: string): Buffer {
  const address = Buffer.alloc(2 + path.length + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  address.write(path, 2, "latin1");
  return address;
}

function socklen(bytes: number): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes, 0);
  return length;
}
