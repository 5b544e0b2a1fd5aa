/**
 * Removing names in `.links` that no store object uses any more: those whose file has no other name.
 *
 * Between a look at the number of names and the removal, an optimiser may give the file another name, which would
 * then have lost its link. So the name is taken away first, to the trash, where no optimiser finds it, and looked at again
 * there; a file that has got another name meanwhile gets its link back.
 */
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, open } from "../sys/descriptor.ts";
import { forEachEntry } from "../sys/directory.ts";
import { tryLink, tryRename, tryUnlink } from "../sys/names.ts";
import { fstat, type Stat, tryLstat } from "../sys/stat.ts";
import { type Sweep, tellFault } from "../sys/sweep-tree.ts";
import type { Trash } from "./trash/trash.ts";

const ENOENT = 2;

/**
 * @returns bytes on disk that linking saves, less what the directory takes; negative when it does not pay
 * @throws SystemError when the links cannot be listed
 */
export function removeUnusedLinks(realStoreDir: string, trash: Trash, sweep: Sweep): number {
  const path = `${realStoreDir}/.links`;
  const links = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const names: string[] = [];
    forEachEntry(links, (bytes, start, end) => {
      names.push(bytes.toString("latin1", start, end));
    });
    let saved = -fstat(links).blocks * 512;
    names.forEach((name, i) => {
      const status = tryLstat(name, links);
      if (status === undefined) return;
      if (status.nlink > 1 || status.kind === "directory") saved += (status.nlink - 2) * status.blocks * 512;
      else removeLink(links, name, `${path}/${name}`, trash, sweep);
      if ((i & 63) === 0) sweep.onProgress();
    });
    return saved;
  } finally {
    close(links);
  }
}

function removeLink(links: number, name: string, shown: string, trash: Trash, sweep: Sweep): void {
  const inTrash = trash.fd >= 0 && tryRename(name, `link-${name}`, links, trash.fd) === 0;
  if (!inTrash) {
    // No trash on a full disk: rather a link too few than no room.
    const status = tryLstat(name, links);
    if (status?.nlink === 1) finish(tryUnlink(name, links), status);
    return;
  }
  const status = tryLstat(`link-${name}`, trash.fd)!;
  if (status.nlink > 1) tryLink(`link-${name}`, name, trash.fd, links); // where another took its place, that one stays
  finish(tryUnlink(`link-${name}`, trash.fd), status);

  function finish(result: number, { nlink, blocks }: Stat): void {
    if (result < 0 && result !== -ENOENT) return tellFault(sweep, shown, -result);
    if (nlink > 1) return;
    sweep.bytes += blocks * 512;
    sweep.files++;
  }
}
