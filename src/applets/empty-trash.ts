/** The hidden command by which silo helps itself to empty the trash; see gc/trash/trash-helper.ts. */
import { UsageError } from "../error.ts";
import { runTrashHelper, trashHelperCommand } from "../gc/trash/trash-helper.ts";
import type { Applet } from "./applet.ts";

export const emptyTrash: Applet = {
  name: trashHelperCommand,
  summary: "",
  run([stateDir, trashRoot, trashPath]) {
    if (stateDir === undefined || trashRoot === undefined || trashPath === undefined) {
      throw new UsageError(`${trashHelperCommand} is not for you: silo starts it when it collects garbage`);
    }
    runTrashHelper(stateDir, trashRoot, trashPath);
    return 0;
  },
};
