/** Blocking Unix stream sockets: socket(2), connect(2). */
import { close } from "./descriptor.ts";
import { check, tryCall } from "./syscall.ts";
import { SystemError } from "./system-error.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
/** `sun_path` with its NUL. */
const maxSocketPath = 108;
const ENAMETOOLONG = 36;

/** A connected socket, or minus errno: `ECONNREFUSED` and `ENOENT` are for the caller to judge. @throws SystemError */
export function tryConnectUnix(path: string): number {
  if (path.length >= maxSocketPath) throw new SystemError(`connecting to the socket '${path}'`, ENAMETOOLONG);
  const fd = check(tryCall("socket", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), () => "creating a socket");
  const address = Buffer.alloc(2 + path.length + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  address.write(path, 2, "latin1");
  const result = tryCall("connect", fd, address, address.length);
  if (result >= 0) return fd;
  close(fd);
  return result;
}
