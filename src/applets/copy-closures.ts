/** Closures between the store that a session is about and other machines'. Loaded by those who copy. */
import { type ByteString, toText } from "../formats/byte-string.ts";
import type { StorePath } from "../formats/store-path.ts";
import { copyClosureFrom, copyClosureTo, type CopyOptions, type CopyResult } from "../remote/copy-closure.ts";
import { copyWithoutServe } from "../remote/old/copy-without-serve.ts";
import { type RemoteMachine, refusesToServe, remoteMachine } from "../remote/open-remote-store.ts";
import { relayClosure } from "../remote/relay.ts";
import { isSshStore, parseStoreUri, type RemoteStoreAddress } from "../remote/store-uri.ts";
import type { LocalStore } from "../store/local-store.ts";
import { requireLocal, storeLocation, withStore } from "./open-store.ts";
import { followToStorePath, parsePathArgument } from "./path-argument.ts";
import type { Session } from "./session.ts";

/** A host as nix-copy-closure takes it, or a whole URI. */
export function copyAddress(host: ByteString, compression: "compress" | "plain"): RemoteStoreAddress {
  const uri = toText(host);
  const address = parseStoreUri(isSshStore(uri) ? uri : `ssh://${uri}`);
  return { ...address, compress: address.compress || compression === "compress" };
}

/** Between the store that the session is about and another machine's. */
export async function copy(
  session: Session,
  address: RemoteStoreAddress,
  direction: "to" | "from",
  paths: readonly ByteString[],
  options: CopyOptions,
): Promise<CopyResult> {
  const location = storeLocation(session);
  const storeDir = location.kind === "local" ? location.directories.storeDir : session.directories.storeDir;
  const roots: StorePath[] = paths.map((path) =>
    direction === "to" ? followToStorePath(storeDir, path) : parsePathArgument(storeDir, path),
  );
  const { io, settings, reporter } = session;
  const connectTimeoutMs = settings.get("connect-timeout") * 1000;
  const stalledTimeoutMs = settings.get("stalled-download-timeout") * 1000;
  const connection = { env: io.env, reporter, connectTimeoutMs, stalledTimeoutMs, attempts: 3 };
  const machine = remoteMachine(address, storeDir, connection);
  try {
    if (location.kind === "daemon") {
      return await copyThroughDaemon(session, location.socket, machine, direction, roots, options);
    }
    return await withStore(session, (store) => copyLocally(requireLocal(store), machine, direction, roots, options));
  } finally {
    machine.close();
  }
}

async function copyLocally(
  store: LocalStore,
  machine: RemoteMachine,
  direction: "to" | "from",
  roots: readonly StorePath[],
  options: CopyOptions,
): Promise<CopyResult> {
  try {
    const remote = await machine.open();
    try {
      return direction === "to"
        ? await copyClosureTo(store, remote, roots, options)
        : await copyClosureFrom(store, remote, roots, options, () => machine.open());
    } finally {
      remote.close();
    }
  } catch (error) {
    if (!refusesToServe(error)) throw error;
    const copied = await copyWithoutServe(store, machine.connections, direction, roots, options);
    return { paths: copied, narSize: 0 };
  }
}

/** For users who may not open the store: the daemon is asked, and trusts them or not. */
async function copyThroughDaemon(
  { reporter, directories }: Session,
  socket: string,
  machine: RemoteMachine,
  direction: "to" | "from",
  roots: readonly StorePath[],
  options: CopyOptions,
): Promise<CopyResult> {
  const { openDaemonEnd } = await import("../remote/daemon-end.ts");
  const daemon = await openDaemonEnd(socket, directories.storeDir);
  try {
    const remote = await machine.open();
    try {
      const [source, sink] = direction === "to" ? [daemon, remote] : [remote, daemon];
      return await relayClosure(source, sink, roots, options, reporter);
    } finally {
      remote.close();
    }
  } finally {
    daemon.close();
  }
}
