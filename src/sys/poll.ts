/** Waiting for several descriptors at once: poll(2). */
import { check, tryCall } from "./syscall.ts";

const POLLIN = 1;
const POLLOUT = 4;
const POLLERR = 8;
const POLLHUP = 16;

export interface PollEntry {
  readonly fd: number;
  /** `nothing` still notices that the other end has gone. */
  readonly wait: "readable" | "writable" | "both" | "nothing";
}

export interface PollResult {
  readonly readable: boolean;
  readonly writable: boolean;
  /** The other end has gone, or the descriptor is broken. */
  readonly hangup: boolean;
}

const events = { readable: POLLIN, writable: POLLOUT, both: POLLIN | POLLOUT, nothing: 0 };

/** Blocks until one is ready, or for at most `timeoutMs`. Results are in the order of the entries. @throws SystemError */
export function poll(entries: readonly PollEntry[], timeoutMs: number | "forever" = "forever"): PollResult[] {
  const fds = Buffer.alloc(entries.length * 8); // int fd, short events, short revents
  entries.forEach(({ fd, wait }, i) => {
    fds.writeInt32LE(fd, i * 8);
    fds.writeInt16LE(events[wait], i * 8 + 4);
  });
  check(tryCall("ppoll", fds, entries.length, timeoutMs === "forever" ? 0 : timespec(timeoutMs)), () => "polling");
  return entries.map((_, i) => {
    const found = fds.readInt16LE(i * 8 + 6);
    return {
      readable: (found & (POLLIN | POLLHUP)) !== 0,
      writable: (found & POLLOUT) !== 0,
      hangup: (found & (POLLHUP | POLLERR)) !== 0,
    };
  });
}

/** Has the other end of a pipe or socket gone for good? */
export function isHungUp(fd: number): boolean {
  return poll([{ fd, wait: "nothing" }], 0)[0]!.hangup;
}

function timespec(milliseconds: number): Buffer {
  const value = Buffer.alloc(16);
  value.writeBigInt64LE(BigInt(Math.floor(milliseconds / 1000)), 0);
  value.writeBigInt64LE(BigInt((milliseconds % 1000) * 1_000_000), 8);
  return value;
}
