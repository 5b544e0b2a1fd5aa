/** Making sure, in silo, that nothing runs as a build user. */
import { SiloError } from "../error.ts";
import { close, O_WRONLY, open } from "../sys/descriptor.ts";
import { reap } from "../sys/process.ts";
import { mayHaveProcesses } from "./kill-user.ts";
import { helperStart, startStage } from "./start-stage.ts";

export class UserStillBusy extends SiloError {
  readonly code = "user-still-busy";
  constructor(readonly uid: number) {
    super(`Cannot kill the processes of build user ${uid}`);
  }
}

/**
 * Kills what there is, which only a process of that user can do at one blow, and waits until it is gone.
 * @throws SystemError, UserStillBusy
 */
export function endUserProcesses(uid: number, command?: readonly string[]): void {
  if (!mayHaveProcesses(uid)) return;
  const nowhere = open("/dev/null", O_WRONLY);
  try {
    const { pid } = startStage({ kind: "kill-user", uid }, helperStart(nowhere, nowhere, "with-parent"), command);
    const end = reap(pid);
    if (end.kind !== "exited" || end.status !== 0) throw new UserStillBusy(uid);
  } finally {
    close(nowhere);
  }
}
