/** The daemon of this machine as one end of a copy, for users who may not open the store. */
import { connect } from "node:net";
import { PassThrough } from "node:stream";
import { toText } from "../formats/byte-string.ts";
import type { StoreDir } from "../formats/store-path.ts";
import { SiloError } from "../error.ts";
import type { RemoteExit } from "./remote-process.ts";
import type { RemoteStore } from "./remote-store.ts";
import { streamProcess } from "./stream-process.ts";
import { openWorkerClient } from "./worker/client.ts";
import { workerStore } from "./worker/worker-store.ts";

const timeouts = { greetingMs: 60_000, stalledMs: 0 };

export class DaemonNotThere extends SiloError {
  readonly code = "daemon-not-there";
}

/** @param socketPath a byte string @throws (rejects) DaemonNotThere */
export async function openDaemonEnd(socketPath: string, storeDir: StoreDir): Promise<RemoteStore> {
  const socket = connect(toText(socketPath));
  const { promise: ended, resolve } = Promise.withResolvers<Omit<RemoteExit, "stderr">>();
  await new Promise<void>((connected, failed) => {
    socket.once("connect", connected);
    socket.once("error", (error) => {
      failed(new DaemonNotThere(`cannot connect to the daemon at '${socketPath}': ${error.message}`, { cause: error }));
    });
  });
  socket.on("close", () => resolve({ status: 0, error: undefined }));
  const stderr = new PassThrough();
  stderr.end();
  const streams = { stdin: socket, stdout: socket, stderr, ended, kill: () => void socket.destroy() };
  return workerStore(await openWorkerClient(streamProcess("daemon", streams), storeDir, timeouts));
}
