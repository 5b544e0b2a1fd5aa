/**
 * Restoring a tree: the visitor that makes on disk what it is told. It can never write outside its destination: every
 * name is created with O_EXCL relative to the descriptor of a directory that it made itself.
 */
import type { ByteString } from "../../formats/byte-string.ts";
import type { FileKind } from "../../formats/nar/format.ts";
import type { NarVisitor } from "../../formats/nar/visitor.ts";
import {
  close,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  openAt,
  writeAll,
} from "../../sys/descriptor.ts";
import { currentUmask, fchmod, setDescriptorMtime, setMtime } from "../../sys/metadata.ts";
import { mkdir, symlink } from "../../sys/names.ts";
import { AT_FDCWD } from "../../sys/syscall.ts";
import { canonicalMtimeSec } from "./canonical-metadata.ts";
import { compileQuickly, methodsOf } from "./quick-compilation.ts";

/**
 * `canonical`: as the store wants it from the start, modes 0444 and 0555, time 1, so that no second pass over the files
 * is needed. `plain`: what the user's umask leaves, as `nix-store --restore` makes it.
 */
export type RestoredMetadata = "canonical" | "plain";

export interface TreeRestorer extends NarVisitor {
  /** Has anything been made at the destination? */
  readonly hasBegun: boolean;
  /** The descriptor of the file that is open between `file` and `endFile`, for whoever writes its contents directly. */
  readonly openFile: number;
  /** Closes what is open after a failure. The tree so far stays for the caller to delete. */
  abandon(): void;
}

/** Restores to `destination`, which must not exist. Methods throw SystemError. */
export function restoreTree(destination: string, metadata: RestoredMetadata): TreeRestorer {
  const directories: number[] = [];
  let file = -1;
  let hasBegun = false;
  const canonical = metadata === "canonical";
  const isMasked = canonical && (currentUmask() & 0o555) !== 0;

  const parent = () => directories[directories.length - 1] ?? AT_FDCWD;
  const nameOf = (name: string) => (directories.length === 0 ? destination : name);
  const modeOf = (kind: FileKind) => {
    if (canonical) return kind === "executable" ? 0o555 : 0o444;
    return kind === "executable" ? 0o777 : 0o666;
  };

  const restorer: TreeRestorer = {
    get hasBegun() {
      return hasBegun;
    },
    get openFile() {
      return file;
    },
    directory(name) {
      const dirFd = parent();
      mkdir(nameOf(name), canonical ? 0o700 : 0o777, dirFd);
      hasBegun = true;
      directories.push(openAt(dirFd, nameOf(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    },
    leaveDirectory() {
      const fd = directories.pop()!;
      try {
        if (canonical) {
          fchmod(fd, 0o555);
          setDescriptorMtime(fd, canonicalMtimeSec);
        }
      } finally {
        close(fd);
      }
    },
    file(name, kind) {
      file = openAt(parent(), nameOf(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, modeOf(kind));
      hasBegun = true;
      if (isMasked) fchmod(file, modeOf(kind));
    },
    contents(chunk) {
      writeAll(file, chunk);
    },
    endFile() {
      if (canonical) setDescriptorMtime(file, canonicalMtimeSec);
      close(file);
      file = -1;
    },
    symlink(name: ByteString, target: ByteString) {
      symlink(target, nameOf(name), parent());
      hasBegun = true;
      if (canonical) setMtime(nameOf(name), canonicalMtimeSec, parent());
    },
    abandon() {
      if (file >= 0) close(file);
      for (const fd of directories.splice(0)) close(fd);
      file = -1;
    },
  };
  compileQuickly(...methodsOf(restorer), parent, nameOf, modeOf);
  return restorer;
}
