/** Processes: their end, and signals to them. See waitid(2), kill(2). */
import { check, tryCall } from "./syscall.ts";

const P_PID = 1;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x1000000;
const CLD_EXITED = 1;

export type ProcessEnd =
  | { readonly kind: "exited"; readonly status: number }
  | { readonly kind: "signalled"; readonly signal: number };

const info = Buffer.alloc(128);

/** How a child ended, or undefined while it runs. It stays a zombie, and its number taken, until {@link reap}. @throws SystemError */
export function peekEnd(pid: number): ProcessEnd | undefined {
  return wait(pid, WEXITED | WNOHANG | WNOWAIT);
}

/** Waits for the end of a child, and gives its number back. @throws SystemError */
export function reap(pid: number): ProcessEnd {
  return wait(pid, WEXITED)!;
}

function wait(pid: number, options: number): ProcessEnd | undefined {
  info.fill(0);
  check(tryCall("waitid", P_PID, pid, info, options, 0), () => `waiting for process ${pid}`);
  // siginfo_t: signo, errno, code, padding, pid, uid, status
  if (info.readInt32LE(16) === 0) return undefined;
  const status = info.readInt32LE(24);
  return info.readInt32LE(8) === CLD_EXITED ? { kind: "exited", status } : { kind: "signalled", signal: status & 0x7f };
}

/** kill(2): 0, or minus errno. A negative `pid` means a process group. */
export function tryKill(pid: number, signal: number): number {
  return tryCall("kill", pid, signal);
}

export const F_DUPFD_CLOEXEC = 1030;

/** Another descriptor for the same open file, under a number that is at least `least`. @throws SystemError */
export function duplicateFrom(fd: number, least: number): number {
  return check(tryCall("fcntl", fd, F_DUPFD_CLOEXEC, least), () => `duplicating file descriptor ${fd}`);
}
