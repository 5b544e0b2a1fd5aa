/**
 * The queue of what is in the trash: a file in memory with one record an entry, a byte for the length of the name and
 * the name. Processes that inherited the descriptor share its position, so each record goes to one of them.
 */
import { decodeBytes } from "../../formats/byte-string.ts";
import { close, O_RDONLY, open, read } from "../../sys/descriptor.ts";
import { memoryFile } from "../../sys/memory-file.ts";

const recordSize = 64;

/** Longest name of an entry. Bytes. */
export const maxQueuedName = recordSize - 1;

/** The caller closes it. @throws SystemError */
export function makeQueue(names: Iterable<string>): number {
  const file = memoryFile("silo-trash", records(names));
  try {
    // The kernel moves the position of an open file under a lock, except for what memfd_create itself returns.
    return open(`/proc/self/fd/${file}`, O_RDONLY);
  } finally {
    close(file);
  }
}

/** The bytes are overwritten by the next. */
function* records(names: Iterable<string>): Generator<Uint8Array> {
  const many = Buffer.alloc(1024 * recordSize);
  let used = 0;
  for (const name of names) {
    many[used] = name.length;
    many.write(name, used + 1, maxQueuedName, "latin1");
    used += recordSize;
    if (used < many.length) continue;
    yield many;
    used = 0;
  }
  yield many.subarray(0, used);
}

const record = Buffer.alloc(recordSize);

/** The next entry, or undefined when none is left. @throws SystemError */
export function takeFromQueue(fd: number): string | undefined {
  if (read(fd, record) !== recordSize) return undefined;
  return decodeBytes(record.subarray(1, 1 + record[0]!));
}
