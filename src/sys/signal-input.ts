/** Input announced by a signal: fcntl(2), "Managing signals". */
import { check, tryCall } from "./syscall.ts";

const F_GETFL = 3;
const F_SETFL = 4;
const F_SETOWN = 8;
const O_ASYNC = 0o20000;

/** From now on this process gets SIGIO when input arrives at the terminal, pipe or socket. @throws SystemError */
export function signalInput(fd: number): void {
  const action = () => `asking for signals of file descriptor ${fd}`;
  check(tryCall("fcntl", fd, F_SETOWN, process.pid), action);
  const flags = check(tryCall("fcntl", fd, F_GETFL), action);
  check(tryCall("fcntl", fd, F_SETFL, flags | O_ASYNC), action);
}
