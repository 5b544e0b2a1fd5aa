/**
 * The socket that clients connect to: `daemon-socket/socket` in the state directory, for everybody to write to, in a directory that
 * everybody may enter. A socket that nobody listens on is what a killed daemon left, and is replaced.
 */
import { SiloError } from "../../error.ts";
import { close } from "../../sys/descriptor.ts";
import { chmod } from "../../sys/metadata.ts";
import { kindOf, mkdirs, rename, tryUnlink } from "../../sys/names.ts";
import { type Stat, tryLstat } from "../../sys/stat.ts";
import { listenUnix, tryConnectUnix } from "../../sys/unix-socket.ts";

export class DaemonRunning extends SiloError {
  readonly code = "daemon-running";
  constructor(readonly socket: string) {
    super(`cannot listen on '${socket}': another daemon does`);
  }
}

/** Something that is no socket is where the socket should be. */
export class NotSocket extends SiloError {
  readonly code = "not-a-socket";
}

export interface DaemonSocket {
  readonly fd: number;
  /** Is the file still ours, another's, or gone? */
  state(): "ours" | "replaced" | "gone";
  /** Closes, and removes the file when it is ours. */
  remove(): void;
}

/** Connections that may wait for being accepted. */
const backlog = 128;

/** @throws DaemonRunning, NotSocket, SystemError */
export function createDaemonSocket(path: string): DaemonSocket {
  const directory = path.slice(0, path.lastIndexOf("/")) || "/";
  mkdirs(directory, 0o755);
  refuseOccupied(path);
  // Under its name it appears with its mode, and in one step: nobody finds it missing or closed.
  const temporary = `${directory}/.${process.pid}.tmp`;
  tryUnlink(temporary);
  const fd = listenUnix(temporary, backlog);
  try {
    chmod(temporary, 0o666);
    rename(temporary, path);
  } catch (error) {
    close(fd);
    tryUnlink(temporary);
    throw error;
  }
  const own = tryLstat(path);
  const state = () => {
    const now = tryLstat(path);
    if (now === undefined) return "gone";
    return isSame(now, own) ? "ours" : "replaced";
  };
  return {
    fd,
    state,
    remove() {
      if (state() === "ours") tryUnlink(path);
      close(fd);
    },
  };
}

function refuseOccupied(path: string): void {
  const kind = kindOf(path);
  if (kind === undefined) return;
  if (kind === "regular" || kind === "directory")
    throw new NotSocket(`cannot listen on '${path}': it exists and is no socket`);
  const connected = tryConnectUnix(path);
  if (connected < 0) return;
  close(connected);
  throw new DaemonRunning(path);
}

function isSame(a: Stat, b: Stat | undefined): boolean {
  return b !== undefined && a.inode === b.inode && a.dev === b.dev;
}
