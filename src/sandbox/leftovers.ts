/**
 * What a builder outside of a sandbox leaves running. It was started in a session of its own, and the processes that it
 * started are in that session, unless they made one for themselves; then they still run as the build user, or carry the
 * name of the build directory in their environment. Without a build user, one that hides both ways is not found: only a
 * sandbox or a build user holds everything.
 */
import { initialEnvironment, listProcesses, newestProcess, ownerOf, processStatus } from "../sys/process-table.ts";
import { SIGKILL } from "../sys/process-calls.ts";
import { tryKill } from "../sys/process.ts";

/** A builder's session: the process that was started first, and how others of the build are recognised. */
export interface BuilderSession {
  readonly leader: number;
  readonly uid: number;
  /** `build-user`: whatever runs as that user belongs to the build. `caller`: other things run as it, too. */
  readonly userKind: "build-user" | "caller";
  readonly buildDir: string;
}

/** Kills the leader and its process group, while the leader is running or a zombie, so that the number is its own. */
export function killGroup(leader: number): void {
  tryKill(-leader, SIGKILL);
  tryKill(leader, SIGKILL); // it may not have made its group yet
}

/** Kills what is left of a session, the leader not counted; true when there was something. @throws SystemError */
export function killLeftovers(session: BuilderSession): boolean {
  const { leader } = session;
  let found = false;
  const processes = listProcesses();
  const newest = newestProcess();
  for (const pid of processes) {
    // Numbers ascend, and begin again at the maximum: the others are older than the leader.
    const younger = newest >= leader ? pid > leader && pid <= newest : pid > leader || pid <= newest;
    if (!younger || pid === process.pid || !belongsTo(pid, session)) continue;
    found = true;
    tryKill(pid, SIGKILL);
  }
  return found;
}

function belongsTo(pid: number, { leader, uid, userKind, buildDir }: BuilderSession): boolean {
  const status = processStatus(pid);
  if (status === undefined || status.kind === "zombie") return false;
  if (status.session === leader) return true;
  if (ownerOf(pid) !== uid) return false;
  return userKind === "build-user" || initialEnvironment(pid)?.includes(`NIX_BUILD_TOP=${buildDir}`) === true;
}
