/**
 * `--add-root`: results become roots of the collector. The first realised operand gets the name that was given, the
 * next `NAME-2`, `NAME-3`, …, and outputs other than `out` have `-OUTPUT` behind that.
 */
import { printStorePath } from "../../formats/store-path.ts";
import type { Store } from "../../store/store.ts";
import { absolutePath } from "../path-argument.ts";
import type { Realised } from "./ensure-valid.ts";
import type { OperationContext } from "./operation.ts";

export interface RootMaker {
  /** Makes roots of what one operand was realised to; what to print for each: the root, or the path without one. */
  add(results: readonly Realised[]): string[];
}

/** The roots that the command line asks for; without any, the user is warned once. */
export function rootMaker({ line, session }: OperationContext, store: Store): RootMaker {
  const link = line.last("add-root");
  const base = link === undefined ? undefined : absolutePath(link);
  let number = 0;
  let warned = session.flags.gcWarning === "no-warning";
  return {
    add(results) {
      number++;
      if (base === undefined) {
        if (!warned) warnOfCollector(session.reporter.message);
        warned = true;
        return results.map(({ path }) => printStorePath(store.storeDir, path));
      }
      return results.map(({ path, output }) => {
        const root = base + (number > 1 ? `-${number}` : "") + (output === "out" ? "" : `-${output}`);
        store.addPermanentRoot(path, root);
        return root;
      });
    },
  };
}

function warnOfCollector(message: OperationContext["session"]["reporter"]["message"]): void {
  message("warning", "warning: you did not specify '--add-root'; the result might be removed by the garbage collector");
}
