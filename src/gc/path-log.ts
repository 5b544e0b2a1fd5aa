/** What was deleted, in order, in few bytes: a million strings would take several times as many. */
import { decodeBytes } from "../formats/byte-string.ts";
import type { PathList } from "../store/collect-service.ts";

export interface PathLog extends PathList {
  /** @param name of an entry of the store directory, at most 255 bytes */
  add(name: string): void;
}

const chunkSize = 64 * 1024;

/** @param prefix what comes before each name when they are read */
export function pathLog(prefix: string): PathLog {
  // Each name behind a byte with its length: it may hold any other byte.
  const chunks: Buffer[] = [];
  let chunk = Buffer.alloc(0);
  let used = 0;
  let length = 0;
  return {
    add(name) {
      if (used + 1 + name.length > chunk.length) {
        chunk = Buffer.alloc(chunkSize);
        chunks.push(chunk);
        used = 0;
      }
      chunk[used] = name.length;
      used += 1 + chunk.write(name, used + 1, "latin1");
      length++;
    },
    get length() {
      return length;
    },
    *[Symbol.iterator]() {
      for (const each of chunks) {
        for (let at = 0, size = each[0]!; size > 0; size = each[at] ?? 0) {
          yield prefix + decodeBytes(each.subarray(at + 1, at + 1 + size));
          at += 1 + size;
        }
      }
    },
  };
}
