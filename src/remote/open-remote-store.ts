/** Opening the store of an address: a connection, a program at its other end, a conversation with it. */
import type { StoreDir } from "../formats/store-path.ts";
import { type ConnectionOptions, type MachineConnections, machineConnections } from "./machine-connections.ts";
import type { RemoteStore } from "./remote-store.ts";
import { openServeClient } from "./serve/client.ts";
import { serveStore } from "./serve/serve-store.ts";
import { type RemoteStoreAddress, remoteCommand } from "./store-uri.ts";

/** A program that has been started has this long to greet. Milliseconds. */
const greetingTimeoutMs = 60_000;

/** One conversation on the machine's connections. @param onStderr told of what the program says besides, its builders' logs included */
export async function openConversation(
  machine: MachineConnections,
  address: RemoteStoreAddress,
  storeDir: StoreDir,
  onStderr?: (chunk: Uint8Array) => void,
): Promise<RemoteStore> {
  const process = await machine.start(remoteCommand(address), onStderr);
  return serveStore(await openServeClient(process, storeDir, greetingTimeoutMs));
}

/** Conversations and their connection, closed together. */
export interface RemoteMachine {
  readonly connections: MachineConnections;
  /** Another conversation. */
  open(): Promise<RemoteStore>;
  close(): void;
}

export function remoteMachine(
  address: RemoteStoreAddress,
  storeDir: StoreDir,
  options: ConnectionOptions,
  onStderr?: (chunk: Uint8Array) => void,
): RemoteMachine {
  const machine = machineConnections(address, options);
  return {
    connections: machine,
    open: () => openConversation(machine, address, storeDir, onStderr),
    close: () => machine.close(),
  };
}
