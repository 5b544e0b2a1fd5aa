/**
 * Importing an export stream path by path: the daemon wants to know a path and its hash before the contents, and the stream has them behind. So
 * each path's NAR waits in a temporary file meanwhile.
 */
import { createHash } from "../../node-crypto.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fromText } from "../../formats/byte-string.ts";
import { runSync, type SyncReader } from "../../formats/codec.ts";
import { readItem, readItemSignature, readItemStart } from "../../formats/export-stream.ts";
import type { NarVisitor } from "../../formats/nar/visitor.ts";
import { NarWriter } from "../../formats/nar/write-nar.ts";
import type { StorePath } from "../../formats/store-path.ts";
import { operations } from "../../formats/worker-protocol/operations.ts";
import { close, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, open, read, writeAll } from "../../sys/descriptor.ts";
import type { DaemonConnection } from "./daemon-connection.ts";

const chunkSize = 256 * 1024;

export function importBySpooling(
  { call, context: { storeDir } }: DaemonConnection,
  reader: SyncReader,
  onPath: (path: StorePath) => void,
): StorePath[] {
  const directory = mkdtempSync(`${tmpdir()}/silo-import-`);
  const file = fromText(`${directory}/nar`);
  const imported: StorePath[] = [];
  try {
    while (runSync(readItemStart(), reader) === "item") {
      const { info, narHash, narSize } = spoolItem(file);
      onPath(info.path);
      const { path, references, deriver } = info;
      const unkeyed = { deriver, narHash, narSize, references, registrationTimeSec: 0 };
      call(
        operations.addToStoreNar,
        {
          path,
          info: { ...unkeyed, ultimate: false, signatures: [], contentAddress: undefined },
          repair: false,
          skipSignatures: true,
        },
        { upload: (onBytes) => readFile(file, onBytes) },
      );
      imported.push(path);
    }
    return imported;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }

  function spoolItem(name: string) {
    const fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0o600);
    try {
      const hasher = createHash("sha256");
      const writer: NarVisitor & { finish(): number } = new NarWriter((chunk) => {
        hasher.update(chunk);
        writeAll(fd, chunk);
      });
      const info = runSync(readItem(storeDir, writer), reader);
      const narSize = writer.finish();
      runSync(readItemSignature(), reader);
      return { info, narSize, narHash: { algo: "sha256" as const, bytes: new Uint8Array(hasher.digest()) } };
    } finally {
      close(fd);
    }
  }
}

function readFile(name: string, onBytes: (bytes: Uint8Array) => void): void {
  const fd = open(name, O_RDONLY);
  try {
    const buffer = Buffer.allocUnsafe(chunkSize);
    for (let count = read(fd, buffer); count > 0; count = read(fd, buffer)) onBytes(buffer.subarray(0, count));
  } finally {
    close(fd);
  }
}
