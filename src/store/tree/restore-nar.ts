/** Restoring the NAR that a descriptor gives, large files without passing through this process. */
import { runSync, type SyncReader } from "../../formats/codec.ts";
import { readNar } from "../../formats/nar/read-nar.ts";
import type { NarVisitor } from "../../formats/nar/visitor.ts";
import type { FdReader } from "../../sys/fd-reader.ts";
import { compileQuickly, methodsOf } from "./quick-compilation.ts";
import type { TreeRestorer } from "./restore.ts";

/** Files of at least this many bytes are large. */
const largeSize = 256 * 1024;
/** What the codec sees of contents that went past it: it only counts them. */
const unseen = Buffer.allocUnsafeSlow(256 * 1024);

/** @throws BadNar, UnexpectedEnd, SystemError; the caller abandons the restorer then */
export function restoreNar(reader: FdReader, restorer: TreeRestorer): void {
  /** Bytes of contents that are to go past. */
  let left = 0;
  const visitor: NarVisitor = {
    directory: restorer.directory,
    leaveDirectory: restorer.leaveDirectory,
    file(name, kind, size) {
      restorer.file(name, kind, size);
      if (size >= largeSize) left = size;
    },
    contents(chunk) {
      if (left > 0) left -= chunk.length;
      else restorer.contents(chunk);
    },
    endFile: restorer.endFile,
    symlink: restorer.symlink,
  };
  const source: SyncReader = {
    take: reader.take,
    takeSome(n) {
      if (left === 0) return reader.takeSome(n);
      return unseen.subarray(0, reader.transferSome(restorer.openFile, Math.min(n, unseen.length)));
    },
  };
  compileQuickly(...methodsOf(visitor));
  runSync(readNar(visitor), source);
}
