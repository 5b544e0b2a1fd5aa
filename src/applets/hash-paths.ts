/** The hidden command by which silo helps itself to hash many paths; see store/hash-paths.ts. */
import { UsageError } from "../error.ts";
import { hashHelperCommand, runHashHelper } from "../store/hash-paths.ts";
import type { Applet } from "./applet.ts";

export const hashPathsHelper: Applet = {
  name: hashHelperCommand,
  summary: "",
  run([realStoreDir]) {
    if (realStoreDir === undefined) {
      throw new UsageError(`${hashHelperCommand} is not for you: silo starts it when it verifies`);
    }
    runHashHelper(realStoreDir);
    return 0;
  },
};
