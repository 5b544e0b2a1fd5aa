/** The contents of files of a path, one behind the other, as the other side wants them. */
import { type LocalStore, realPath } from "../../store/local-store.ts";
import type { StorePath } from "../../formats/store-path.ts";
import { UnsupportedFile } from "../../store/tree/walk.ts";
import { close, O_NOFOLLOW, O_RDONLY, open, read } from "../../sys/descriptor.ts";
import type { TreeColumns } from "./extension.ts";
import { hasBit, treeFiles } from "./tree-files.ts";

const chunkSize = 256 * 1024;

/** Chunks belong to the receiver. @throws SystemError, UnsupportedFile for a file that is shorter than it was */
export function* fileContents(
  store: LocalStore,
  path: StorePath,
  tree: TreeColumns,
  wanted: Uint8Array,
): Generator<Uint8Array> {
  for (const { index, below, size } of treeFiles(tree)) {
    if (!hasBit(wanted, index) || size === 0) continue;
    const file = `${realPath(store, path)}${below}`;
    const fd = open(file, O_RDONLY | O_NOFOLLOW);
    try {
      for (let left = size; left > 0; ) {
        const buffer = Buffer.allocUnsafe(Math.min(left, chunkSize));
        const count = read(fd, buffer);
        if (count === 0) throw new UnsupportedFile(file, `it shrank from ${size} bytes while being read`);
        yield buffer.subarray(0, count);
        left -= count;
      }
    } finally {
      close(fd);
    }
  }
}
