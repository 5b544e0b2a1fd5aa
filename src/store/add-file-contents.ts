/** Adding a file whose contents come from a stream that does not say how long it is. */
import type { SyncReader } from "../formats/codec.ts";
import type { StorePath } from "../formats/store-path.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { close, O_CREAT, O_EXCL, O_WRONLY, open, writeAll } from "../sys/descriptor.ts";
import { type AddOptions, addPath, addTree, visitFile } from "./add.ts";
import { type LocalStore, realPath } from "./local-store.ts";
import { requireWritable } from "./open-local-store.ts";
import { scratchPath } from "./scratch-path.ts";

/** A reader that knows where its data ends. */
export interface EndingReader extends SyncReader {
  atEnd(): boolean;
}

/** Larger files wait on disk until they are known. Bytes. */
const maxInMemory = 8 * 1024 * 1024;
const chunkSize = 256 * 1024;

/** @throws what the reader throws, BadStorePath, SystemError */
export function addFileContents(store: LocalStore, reader: EndingReader, options: AddOptions): StorePath {
  requireWritable(store);
  const parts: Uint8Array[] = [];
  let size = 0;
  while (!reader.atEnd()) {
    if (size > maxInMemory) return addThroughFile(store, parts, reader, options);
    const part = Uint8Array.from(reader.takeSome(chunkSize));
    parts.push(part);
    size += part.length;
  }
  return addTree(store, options, (visitor) => visitFile(visitor, Buffer.concat(parts, size)));
}

function addThroughFile(
  store: LocalStore,
  parts: readonly Uint8Array[],
  rest: EndingReader,
  options: AddOptions,
): StorePath {
  const scratch = realPath(store, scratchPath(store, "file"));
  try {
    const fd = open(scratch, O_WRONLY | O_CREAT | O_EXCL, 0o600);
    try {
      for (const part of parts) writeAll(fd, part);
      while (!rest.atEnd()) writeAll(fd, rest.takeSome(chunkSize));
    } finally {
      close(fd);
    }
    return addPath(store, scratch, options);
  } finally {
    deleteTree(scratch);
  }
}
