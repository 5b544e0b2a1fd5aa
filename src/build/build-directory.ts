/** The directory a builder works in: made below TMPDIR with the name that Nix gives it, private to the build user. */
import type { ByteString } from "../formats/byte-string.ts";
import { fromText } from "../formats/byte-string.ts";
import type { StorePath } from "../formats/store-path.ts";
import { nameOf } from "../formats/store-path.ts";
import type { BuildUser } from "../store/builder-runner.ts";
import type { Environment } from "../store/directories.ts";
import {
  close,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  open,
  tryOpenAt,
  writeAll,
} from "../sys/descriptor.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { fchmod, lchown } from "../sys/metadata.ts";
import { mkdirs, tryMkdir } from "../sys/names.ts";
import { AT_FDCWD } from "../sys/syscall.ts";

export interface BuildDirectory {
  /** On the host. */
  readonly path: string;
  /** Writes a file that belongs to the builder, before the builder has the directory. @throws SystemError */
  write(name: string, contents: ByteString | Buffer): void;
  delete(): void;
  /** Lets everybody look at it, when the builder is gone. */
  keep(): void;
}

/** The directory is still ours: the runner gives it to the build user when nothing else of that user runs. @throws SystemError */
export function makeBuildDirectory(parent: string, drvPath: StorePath, user: BuildUser | undefined): BuildDirectory {
  const path = makeFresh(parent, `nix-build-${nameOf(drvPath)}`);
  return {
    path,
    write(name, contents) {
      const file = `${path}/${name}`;
      const fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o666);
      try {
        writeAll(fd, typeof contents === "string" ? Buffer.from(contents, "latin1") : contents);
      } finally {
        close(fd);
      }
      if (user !== undefined) lchown(file, user.uid, user.gid);
    },
    delete: () => void deleteTree(path),
    keep: () => openToAll(path),
  };
}

/** The builder may have left something else under that name, such as a link to what is not its own. */
function openToAll(path: string): void {
  const fd = tryOpenAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (fd < 0) return;
  try {
    fchmod(fd, 0o755);
  } finally {
    close(fd);
  }
}

/** Where build directories are: the setting `build-dir`, else TMPDIR, else /tmp. */
export function buildDirectoryParent(setting: string, env: Environment): string {
  if (setting !== "") {
    mkdirs(setting);
    return setting;
  }
  const tmp = env["TMPDIR"];
  return tmp === undefined || tmp === "" ? "/tmp" : fromText(tmp);
}

/** The first number that is free. */
function makeFresh(parent: string, prefix: string): string {
  for (let n = 0; ; n++) {
    const path = `${parent}/${prefix}-${n}`;
    if (tryMkdir(path, 0o700)) return path;
  }
}
