/** Paths from another store into the one on this machine: hashed as they are written, and registered with their signatures. */
import type { NarVisitor } from "../formats/nar/visitor.ts";
import type { StorePath } from "../formats/store-path.ts";
import { openInfoReceiver } from "../store/add-with-info.ts";
import { type LocalStore, showPath } from "../store/local-store.ts";
import { openPlaceBatch, type PlaceBatch } from "../store/place-batch.ts";
import { queryValidPaths } from "../store/queries.ts";
import { openTreeReceiver } from "../store/receive-tree.ts";
import { isRefusal } from "./delta/rebuild-tree.ts";
import { knownFiles } from "./delta/known-files.ts";
import type { PathDownload, RemotePathInfo, RemoteStore } from "./remote-store.ts";

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
  try {
    await receiveAll(store, remote.download(missing(store, infos), knownFiles(store)), onPath);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const again = await reopen();
    try {
      await receiveAll(store, again.download(missing(store, infos)), onPath);
    } finally {
      again.close();
    }
  }
}

async function receiveAll(
  store: LocalStore,
  downloads: AsyncIterable<PathDownload>,
  onPath: (info: RemotePathInfo) => void,
): Promise<void> {
  const batch = openPlaceBatch(store);
  try {
    for await (const { info, show } of downloads) {
      await receive(store, batch, info, show);
      onPath(info);
    }
  } finally {
    // What has come completely is kept, also when what comes behind it does not.
    try {
      batch.flush();
    } finally {
      batch.abandon();
    }
  }
}

async function receive(
  store: LocalStore,
  batch: PlaceBatch,
  info: RemotePathInfo,
  show: (visitor: NarVisitor) => Promise<void>,
): Promise<void> {
  const { narHash } = info;
  if (narHash === undefined) return receiveUnhashed(store, batch, info, show);
  const receiver = openInfoReceiver(store, { ...info, narHash }, batch.place);
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
  batch: PlaceBatch,
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
  batch.place(receiver.finish(), info);
}

function missing(store: LocalStore, infos: readonly RemotePathInfo[]): RemotePathInfo[] {
  const valid = queryValidPaths(
    store,
    infos.map(({ path }): StorePath => path),
  );
  return infos.filter(({ path }) => !valid.has(path));
}
