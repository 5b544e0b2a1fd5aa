/** A socket handed over by systemd: sd_listen_fds(3). */
import { SiloError } from "../error.ts";
import { isListening } from "./unix-socket.ts";

/** The descriptor of the first socket that is handed over. */
const firstActivated = 3;

export class BadActivation extends SiloError {
  readonly code = "bad-socket-activation";
  constructor(readonly reason: string) {
    super(`Cannot use the socket from systemd: ${reason}`);
  }
}

/**
 * The listening socket that this process was started with, or undefined when it was not. The variables that say so are taken out of the
 * environment, so that nothing started from here takes them for its own.
 * @throws BadActivation
 */
export function activatedSocket(env: Record<string, string | undefined>, pid: number): number | undefined {
  const { LISTEN_FDS: count, LISTEN_PID: forPid } = env;
  if (count === undefined || forPid !== String(pid)) return undefined;
  for (const name of ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"]) delete env[name];
  if (count !== "1") throw new BadActivation(`LISTEN_FDS is '${count}', expected 1`);
  if (!isListening(firstActivated)) throw new BadActivation(`descriptor ${firstActivated} is not a listening socket`);
  return firstActivated;
}
