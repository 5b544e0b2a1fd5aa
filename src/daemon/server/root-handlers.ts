/** Requests about roots and the collection of garbage. */
import { SiloError } from "../../error.ts";
import { type ByteString, fromText } from "../../formats/byte-string.ts";
import { canonicalPath } from "../../formats/settings/canonical-path.ts";
import { syncWithCollector } from "../../store/gc-lock.ts";
import { showPath } from "../../store/local-store.ts";
import { addIndirectRoot, addPermanentRoot } from "../../store/roots.ts";
import { tryLstat } from "../../sys/stat.ts";
import type { Handlers } from "./handlers.ts";
import { NotPrivileged, requireTrusted, type Session } from "./session.ts";

export class BadRoot extends SiloError {
  readonly code = "bad-root";
}

/** What others see in the place of a process that keeps a path. */
const censored = fromText("{censored}");

export const rootHandlers = {
  addTempRoot({ store }, { path }) {
    store.tempRoots.add([showPath(store, path)]);
    return undefined;
  },
  addIndirectRoot(session, { link }) {
    const path = absoluteLink(link);
    requireOwnLink(session, path);
    addIndirectRoot(session.store.stateDir, path);
    return undefined;
  },
  addPermRoot(session, { path, root }) {
    requireTrusted(session, "you are not privileged to create perm roots");
    const link = absoluteLink(root);
    addPermanentRoot(session.store, path, link);
    return link;
  },
  syncWithGc({ store, reporter }) {
    syncWithCollector(store.stateDir, () => reporter.message("error", "waiting for the big garbage collector lock..."));
    return undefined;
  },
  async findRoots({ services, peer }) {
    const roots = await services.collect.findRoots();
    const isCensored = (kind: string) => kind === "runtime" && peer.trust !== "trusted";
    return roots.map(({ link, target, kind }) => ({
      link: isCensored(kind) ? censored : (link as ByteString),
      target,
    }));
  },
  async collectGarbage(session, { action, toDelete, ignoreLiveness, maxFreed }) {
    if (ignoreLiveness) throw new NotPrivileged("you are not allowed to ignore liveness");
    const isAll = toDelete.paths === "all";
    const { paths, bytesFreed } = await session.services.collect.collect({
      action: isAll && action === "delete-specific" ? "delete-dead" : action,
      paths: toDelete.paths === "all" ? [] : toDelete.paths,
      liveness: "respect",
      referrers: toDelete.referrers,
      maxFreed,
    });
    return { paths: [...paths] as ByteString[], bytesFreed };
  },
} satisfies Partial<Handlers>;

function absoluteLink(link: ByteString): ByteString {
  const path = canonicalPath(link);
  if (path === undefined || path === "/" || path.includes("\0"))
    throw new BadRoot(`cannot use ${JSON.stringify(link)} as a root: expected the absolute path of a link`);
  return path;
}

/**
 * A root tells whoever lists roots what a link says, and the link's directory may be closed to the client: so only links of its own. What is
 * wrong otherwise is not told, since that would tell whether there is something.
 */
function requireOwnLink({ peer }: Session, link: ByteString): void {
  if (peer.trust === "trusted") return;
  const status = safeLstat(link);
  if (status?.kind === "symlink" && status.uid === peer.uid) return;
  throw new NotPrivileged(`cannot use ${JSON.stringify(link)} as a root: it is not a symbolic link of yours`);
}

function safeLstat(path: string): ReturnType<typeof tryLstat> {
  try {
    return tryLstat(path);
  } catch (error) {
    if (error instanceof SiloError) return undefined;
    throw error;
  }
}
