/**
 * Sending inputs to one machine for several builds at once: what one build is sending, another does not send again but
 * waits for, and nothing else: each build has a conversation, and no lock is held.
 *
 * A build only ever waits for builds that came before it, so no two wait for each other.
 */
import type { StorePath } from "../../formats/store-path.ts";
import type { LocalStore } from "../../store/local-store.ts";
import { sortTopologically } from "../../store/closure.ts";
import { queryPathInfos } from "../../store/queries.ts";
import { localUploads } from "../local-uploads.ts";
import type { RemoteStore } from "../remote-store.ts";

/** What is on its way to a machine. */
export type PendingUploads = Map<StorePath, Promise<void>>;

/** Resolves when all paths are valid there. @param missing those that the machine has said it lacks */
export async function uploadInputs(
  store: LocalStore,
  remote: RemoteStore,
  pending: PendingUploads,
  missing: readonly StorePath[],
): Promise<void> {
  const sorted = sortTopologically(store, missing);
  const foreign = sorted.flatMap((path) => pending.get(path) ?? []);
  const own = sorted.filter((path) => !pending.has(path));
  const infoByPath = queryPathInfos(store, own);
  const infos = own.flatMap((path) => infoByPath.get(path) ?? []);
  const arrivals = new Map(infos.map(({ path }) => [path, arrival()]));
  for (const [path, { promise }] of arrivals) pending.set(path, promise);
  // What refers, also through others, to what somebody else sends has to wait for it; the rest does not.
  const waiting = new Set<StorePath>();
  for (const { path, references } of infos) {
    const isForeign = (each: StorePath) => waiting.has(each) || (pending.has(each) && !arrivals.has(each));
    if (references.some(isForeign)) waiting.add(path);
  }
  const onPath = ({ path }: { readonly path: StorePath }) => arrivals.get(path)!.resolve();
  try {
    await remote.upload(
      localUploads(
        store,
        infos.filter(({ path }) => !waiting.has(path)),
      ),
      onPath,
    );
    await Promise.all(foreign);
    const rest = infos.filter(({ path }) => waiting.has(path));
    await Promise.all(
      rest.flatMap(({ references }) =>
        references.flatMap((each) => (arrivals.has(each) ? [] : (pending.get(each) ?? []))),
      ),
    );
    if (rest.length > 0) await remote.upload(localUploads(store, rest), onPath);
  } catch (error) {
    for (const { reject } of arrivals.values()) reject(error);
    throw error;
  } finally {
    for (const path of arrivals.keys()) pending.delete(path);
  }
}

function arrival() {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => {}); // nobody may be waiting
  return { promise, resolve, reject };
}
