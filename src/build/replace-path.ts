/** Replacing a damaged store object by a good one, so that at no moment the path is missing where the file system allows it. */
import type { LocalStore } from "../store/local-store.ts";
import { realPath } from "../store/local-store.ts";
import { scratchPath } from "../store/scratch-path.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { rename, tryExchange } from "../sys/names.ts";

/** Both exist, in the store directory. @throws SystemError */
export function replacePath(store: LocalStore, replacement: string, destination: string): void {
  if (tryExchange(replacement, destination) === 0) {
    deleteTree(replacement);
    return;
  }
  const old = realPath(store, scratchPath(store, "old"));
  rename(destination, old);
  rename(replacement, destination);
  deleteTree(old);
}
