/** Paths from another store into the one on this machine: hashed as they are written, and registered with their signatures. */
import type { NarVisitor } from "../formats/nar/visitor.ts";
import type { StorePath } from "../formats/store-path.ts";
import { openInfoReceiver } from "../store/add-with-info.ts";
import { type LocalStore, showPath } from "../store/local-store.ts";
import { placeObject } from "../store/place-object.ts";
import { queryValidPaths } from "../store/queries.ts";
import { openTreeReceiver } from "../store/receive-tree.ts";
import { isRefusal } from "./delta/rebuild-tree.ts";
import { knownFiles } from "./delta/known-files.ts";
import type { RemotePathInfo, RemoteStore } from "./remote-store.ts";

/**
 * @param infos a path after what it refers to; those that are valid meanwhile are passed over
 * @param reopen another conversation with the same store, for after a comparison that went wrong
 */
export async function receiveDownloads(
  store: LocalStore,
  remote: RemoteStore,
  infos: readonly RemotePathInfo[],
  onPath: (info: RemotePathInfo) => void,
  reopen: () => Promise<RemoteStore>,
): Promise<void> {
  store.tempRoots.add(infos.map(({ path }) => showPath(store, path)));
  const known = knownFiles(store);
  try {
    for await (const { info, show } of remote.download(missing(store, infos), known)) {
      await receive(store, info, show);
      onPath(info);
    }
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const again = await reopen();
    try {
      for await (const { info, show } of again.download(missing(store, infos))) {
        await receive(store, info, show);
        onPath(info);
      }
    } finally {
      again.close();
    }
  }
}

async function receive(
  store: LocalStore,
  info: RemotePathInfo,
  show: (visitor: NarVisitor) => Promise<void>,
): Promise<void> {
  const { narHash } = info;
  if (narHash === undefined) return receiveUnhashed(store, info, show);
  const receiver = openInfoReceiver(store, { ...info, narHash }, "normal");
  try {
    await show(receiver.visitor);
    receiver.finish();
  } finally {
    receiver.abandon();
  }
}

/** From a server that is too old to tell the hash. */
async function receiveUnhashed(
  store: LocalStore,
  info: RemotePathInfo,
  show: (visitor: NarVisitor) => Promise<void>,
): Promise<void> {
  const receiver = openTreeReceiver(store);
  try {
    await show(receiver.visitor);
  } catch (error) {
    receiver.abandon();
    throw error;
  }
  placeObject(store, receiver.finish(), info, "normal");
}

function missing(store: LocalStore, infos: readonly RemotePathInfo[]): RemotePathInfo[] {
  const valid = queryValidPaths(
    store,
    infos.map(({ path }): StorePath => path),
  );
  return infos.filter(({ path }) => !valid.has(path));
}
