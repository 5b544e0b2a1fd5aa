/**
 * The queue of what is in the trash: a file in memory with one record an entry, a byte for the length of the name and
 * the name. Processes that inherited the descriptor share its position, so each record goes to one of them.
 */
import { decodeBytes } from "../../formats/byte-string.ts";
import { close, O_RDONLY, open, read } from "../../sys/descriptor.ts";
import { memoryFile } from "../../sys/memory-file.ts";

const recordSize = 256;

/** The caller closes it. @throws SystemError */
export function makeQueue(names: Iterable<string>): number {
  const list = [...names];
  const records = Buffer.alloc(list.length * recordSize);
  list.forEach((name, i) => {
    records[i * recordSize] = name.length;
    records.write(name, i * recordSize + 1, "latin1");
  });
  const file = memoryFile("silo-trash", records);
  try {
    // The kernel moves the position of an open file under a lock, except for what memfd_create itself returns.
    return open(`/proc/self/fd/${file}`, O_RDONLY);
  } finally {
    close(file);
  }
}

const record = Buffer.alloc(recordSize);

/** The next entry, or undefined when none is left. @throws SystemError */
export function takeFromQueue(fd: number): string | undefined {
  if (read(fd, record) !== recordSize) return undefined;
  return decodeBytes(record.subarray(1, 1 + record[0]!));
}
