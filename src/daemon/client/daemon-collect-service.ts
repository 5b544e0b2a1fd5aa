/** Roots and collection, by a daemon. */
import { operations } from "../../formats/worker-protocol/operations.ts";
import { deleteReferrers } from "../../formats/worker-protocol/version.ts";
import type { CollectService } from "../../store/collect-service.ts";
import { DaemonCannot, type DaemonConnection } from "./daemon-connection.ts";

export function daemonCollectService({ call, context }: DaemonConnection): CollectService {
  return {
    findRoots() {
      return call(operations.findRoots, undefined).map(({ link, target }) => {
        // A link is an absolute path outside of /proc; runtime roots are named after the process, or not at all.
        const isLink = link.startsWith("/") && !link.startsWith("/proc/");
        return { link, target, kind: isLink ? "link" : "runtime" };
      });
    },
    collect({ action, paths, liveness, referrers, maxFreed }) {
      if (referrers === "delete" && !context.features.has(deleteReferrers))
        throw new DaemonCannot("cannot delete referrers through this daemon: it does not know how");
      return call(operations.collectGarbage, {
        action,
        toDelete: { paths, referrers },
        ignoreLiveness: liveness === "ignore",
        maxFreed,
      });
    },
  };
}
