/** Opening the store of an address: a connection, a program at its other end, a conversation with it. */
import type { StoreDir } from "../formats/store-path.ts";
import { type ConnectionOptions, type MachineConnections, machineConnections } from "./machine-connections.ts";
import { RemoteEnded } from "./remote-process.ts";
import type { RemoteStore } from "./remote-store.ts";
import { OldServeProtocol, openServeClient } from "./serve/client.ts";
import { serveStore } from "./serve/serve-store.ts";
import { type RemoteStoreAddress, remoteCommand } from "./store-uri.ts";

type OnStderr = (chunk: Uint8Array) => void;

/** One conversation on the machine's connections. @param onStderr told of what the program says besides, its builders' logs included */
export async function openConversation(
  machine: MachineConnections,
  address: RemoteStoreAddress,
  storeDir: StoreDir,
  onStderr?: OnStderr,
): Promise<RemoteStore> {
  if (address.protocol === "worker") return openWorker(machine, address, storeDir, onStderr);
  try {
    return await openServe(machine, address, storeDir, onStderr);
  } catch (error) {
    if (error instanceof OldServeProtocol) return openOld(machine, address, storeDir, onStderr);
    // Nix 1.7 serves, but not in the way that allows writing.
    if (!refusesToServe(error) || !address.program.endsWith(" --write")) throw error;
    const readOnly = { ...address, program: address.program.slice(0, -" --write".length) };
    return openConversation(machine, readOnly, storeDir, onStderr).catch(() => {
      throw error;
    });
  }
}

/** Is it a nix-store that does not serve, or not in the way that allows writing? */
export function refusesToServe(error: unknown): boolean {
  if (error instanceof OldServeProtocol) return true;
  const words = /--(serve|write)|(unknown|unrecogni[sz]ed) (flag|option|operation)/;
  return error instanceof RemoteEnded && words.test(error.said);
}

async function openServe(
  machine: MachineConnections,
  address: RemoteStoreAddress,
  storeDir: StoreDir,
  onStderr?: OnStderr,
) {
  const process = await machine.start(remoteCommand(address), onStderr);
  return serveStore(await openServeClient(process, storeDir, machine.timeouts));
}

async function openWorker(
  machine: MachineConnections,
  address: RemoteStoreAddress,
  storeDir: StoreDir,
  onStderr?: OnStderr,
) {
  const [{ openWorkerClient }, { workerStore }] = await Promise.all([
    import("./worker/client.ts"),
    import("./worker/worker-store.ts"),
  ]);
  const process = await machine.start(remoteCommand(address), onStderr);
  return workerStore(await openWorkerClient(process, storeDir, machine.timeouts));
}

async function openOld(
  machine: MachineConnections,
  address: RemoteStoreAddress,
  storeDir: StoreDir,
  onStderr?: OnStderr,
) {
  const { oldServeStore } = await import("./old/old-serve-store.ts");
  return oldServeStore(address.name, storeDir, () => machine.start(remoteCommand(address), onStderr));
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
  onStderr?: OnStderr,
): RemoteMachine {
  const machine = machineConnections(address, options);
  return {
    connections: machine,
    open: () => openConversation(machine, address, storeDir, onStderr),
    close: () => machine.close(),
  };
}
