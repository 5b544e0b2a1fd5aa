/**
 * Killing every process of a build user, before and after a build. Nobody else uses that user meanwhile, so whatever
 * runs as it is the rest of a build.
 */
import { pause } from "../sys/pause.ts";
import { setUser } from "../sys/credential-calls.ts";
import { performCalls } from "../sys/planned-calls.ts";
import { SIGKILL } from "../sys/process-calls.ts";
import { listProcesses, ownerOf, processStatus } from "../sys/process-table.ts";
import { tryKill } from "../sys/process.ts";
import { check } from "../sys/syscall.ts";
import { SystemError } from "../sys/system-error.ts";

const ESRCH = 3;
const EVERYBODY = -1;

/**
 * Does any process run as this user, or might one? `/proc` is read upwards, as process numbers grow, so a process that
 * forks and ends to stay out of sight is seen either itself or as one that was gone when looked at.
 */
export function mayHaveProcesses(uid: number): boolean {
  return listProcesses().some((pid) => {
    const owner = ownerOf(pid);
    return owner === undefined || (owner === uid && processStatus(pid)?.kind === "running");
  });
}

/** In a process of its own: becomes the user, and kills all that this user may kill. @throws SystemError */
export function killUserHere(uid: number): number {
  if (uid === 0) throw new Error("refusing to kill the processes of root");
  const failure = performCalls([setUser(uid)]);
  if (failure !== undefined) throw new SystemError(`switching to user ${uid}`, failure.errno);
  // Twice nothing: the processes killed first are gone, not just dying.
  for (let waits = 0; waits < maxWaits; waits++) {
    const result = tryKill(EVERYBODY, SIGKILL);
    if (result === -ESRCH) return 0;
    check(result, () => `killing the processes of user ${uid}`);
    pause(1);
  }
  return 1;
}

const maxWaits = 10_000;
