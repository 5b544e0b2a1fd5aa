/**
 * Killing every process of a build user, before and after a build. Nobody else uses that user meanwhile, so whatever
 * runs as it is the rest of a build. Only kill(2) by a process of that user, for all at one blow, catches those that
 * fork faster than they can be listed.
 */
import { SiloError } from "../error.ts";
import { close, O_WRONLY, open, pipe } from "../sys/descriptor.ts";
import { setUser } from "../sys/credential-calls.ts";
import { pause } from "../sys/pause.ts";
import { exit, SIGKILL } from "../sys/process-calls.ts";
import { listProcesses, ownerOf, processStatus } from "../sys/process-table.ts";
import { reap } from "../sys/process.ts";
import { readFailure } from "./channel.ts";
import { builderIds } from "./builder-ids.ts";
import { setupError, type SetupCall } from "./impossible.ts";
import { type StartedProcess, startProcess } from "./start-process.ts";

export class UserStillBusy extends SiloError {
  readonly code = "user-still-busy";
  constructor(readonly uid: number) {
    super(`Cannot kill the processes of build user ${uid}`);
  }
}

const EVERYBODY = -1;
const ESRCH = 3;
const maxBlows = 10_000;

/** Kills what there is and waits until it is gone. @throws SystemError, UserStillBusy */
export function endUserProcesses(uid: number): void {
  for (let blows = 0; blows < maxBlows; blows++) {
    if (killAll(uid) === "nobody there" || !hasRunning(uid)) return;
    pause(1);
  }
  throw new UserStillBusy(uid);
}

function killAll(uid: number): "killed" | "nobody there" {
  if (uid === 0) throw new Error("refusing to kill the processes of root");
  // The list ends with the first call that fails: without the user there is no killing.
  const calls: SetupCall[] = [
    setUser(uid),
    { call: "kill", args: [EVERYBODY, SIGKILL], action: `killing the processes of user ${uid}` },
    exit(),
  ];
  const nowhere = open("/dev/null", O_WRONLY);
  const channel = pipe();
  let child: StartedProcess;
  try {
    const start = { output: nowhere, channel: channel.write, use: "own", life: "with-parent", namespaces: 0 } as const;
    child = startProcess({ ...start, ids: builderIds(undefined, "host"), calls });
  } catch (error) {
    close(channel.read);
    throw error;
  } finally {
    close(nowhere);
    close(channel.write);
  }
  reap(child.pid);
  const failure = readFailure(channel.read);
  if (failure === undefined) return "killed";
  if (child.calls[failure.index]?.call === "kill" && failure.errno === ESRCH) return "nobody there";
  throw setupError(child.calls, failure);
}

/** Zombies, which kill(2) finds as well, wait for somebody else. */
function hasRunning(uid: number): boolean {
  return listProcesses().some((pid) => ownerOf(pid) === uid && processStatus(pid)?.kind === "running");
}
