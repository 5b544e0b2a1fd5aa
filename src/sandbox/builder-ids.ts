/** Whom a builder runs as. */
import type { BuildUser } from "../store/builder-runner.ts";

export interface BuilderIds {
  /** `own`: a user namespace of the builder's, in which it has an unprivileged number of its own. */
  readonly namespace: "own" | "host";
  /** As the builder sees them. */
  readonly uid: number;
  readonly gid: number;
  /** As the host sees them. */
  readonly hostUid: number;
  readonly hostGid: number;
}

/** As in Nix: what every builder in a user namespace sees as its own user and group. */
const namespaceUid = 1000;
const namespaceGid = 100;

export function builderIds(user: BuildUser | undefined, namespace: BuilderIds["namespace"]): BuilderIds {
  const hostUid = user?.uid ?? process.geteuid!();
  const hostGid = user?.gid ?? process.getegid!();
  if (namespace === "host") return { namespace, uid: hostUid, gid: hostGid, hostUid, hostGid };
  return { namespace, uid: namespaceUid, gid: namespaceGid, hostUid, hostGid };
}
