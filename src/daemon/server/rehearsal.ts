/**
 * What a process does while it waits for its client: it serves one that does not exist, on a store in memory. What a program does for
 * the first time takes several times as long as later, and so nobody waits for that.
 */
import { bytesReader } from "../../formats/bytes-reader.ts";
import { fromText } from "../../formats/byte-string.ts";
import { parseStorePath, type StorePath } from "../../formats/store-path.ts";
import { WireWriter } from "../../formats/wire.ts";
import { clientMagic } from "../../formats/worker-protocol/handshake.ts";
import { type Operation, operations } from "../../formats/worker-protocol/operations.ts";
import type { ClientOptions } from "../../formats/worker-protocol/set-options.ts";
import { wireVersion } from "../../formats/worker-protocol/version.ts";
import type { WireContext } from "../../formats/worker-protocol/wire-type.ts";
import type { Connection } from "./serve-connection.ts";

/** Neither newest nor oldest: what it says is the same in all. */
const minor = 34;

/** What is asked for, and should be there. */
export const rehearsedPath: StorePath = parseStorePath(fromText(`${"0".repeat(32)}-rehearsal`));

/** @param storeDir where the store that will be served has its paths */
export function rehearsedConnection(storeDir: WireContext["storeDir"]): Connection {
  const input = bytesReader(conversation({ storeDir, minor, features: new Set() }), "the rehearsal");
  return {
    input: { take: input.take, takeSome: input.takeSome, atEnd: () => input.left() === 0 },
    write() {},
    isGone: () => false,
    peer: { trust: "untrusted", uid: undefined },
  };
}

/** What every client begins with, and what most ask first. */
function conversation(context: WireContext): Uint8Array {
  const writer = new WireWriter().u64(clientMagic).u64(wireVersion(minor)).u64(0).u64(0);
  function ask<Request>({ code, request }: Operation<Request, unknown>, value: Request): void {
    request.write(writer.u64(code), value, context);
  }
  ask(operations.setOptions, usualOptions);
  ask(operations.isValidPath, { path: rehearsedPath });
  ask(operations.queryPathInfo, { path: rehearsedPath });
  return writer.take();
}

const usualOptions: ClientOptions = {
  keepFailed: false,
  keepGoing: false,
  tryFallback: false,
  verbosity: 3,
  maxBuildJobs: 1,
  maxSilentTimeSec: 0,
  useBuildHook: true,
  buildVerbosity: 7,
  logType: 0,
  printBuildTrace: 0,
  buildCores: 0,
  useSubstitutes: true,
  overrides: [[fromText("timeout"), fromText("0")]],
};
