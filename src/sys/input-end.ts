/** Noticing that nobody will write to a descriptor any more, without reading: poll(2). */
import { check, tryCall } from "./syscall.ts";

const POLLERR = 8;
const POLLHUP = 16;
const POLLRDHUP = 0x2000;

/** Has the other end of a pipe been closed, or its side of a socket? Input may still wait to be read. @throws SystemError */
export function isInputOver(fd: number): boolean {
  const pollfd = Buffer.alloc(8); // int fd, short events, short revents
  pollfd.writeInt32LE(fd, 0);
  pollfd.writeInt16LE(POLLRDHUP, 4);
  check(tryCall("ppoll", pollfd, 1, Buffer.alloc(16)), () => `polling file descriptor ${fd}`);
  return (pollfd.readInt16LE(6) & (POLLRDHUP | POLLHUP | POLLERR)) !== 0;
}
