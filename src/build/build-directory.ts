/** The directory a builder works in: made below TMPDIR with the name that Nix gives it, private to the build user. */
import type { ByteString } from "../formats/byte-string.ts";
import { fromText } from "../formats/byte-string.ts";
import type { StorePath } from "../formats/store-path.ts";
import { nameOf } from "../formats/store-path.ts";
import type { BuildUser } from "../store/builder-runner.ts";
import type { Environment } from "../store/directories.ts";
import { close, O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, open, writeAll } from "../sys/descriptor.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { chmod, lchown } from "../sys/metadata.ts";
import { mkdirs, tryMkdir } from "../sys/names.ts";

export interface BuildDirectory {
  /** On the host. */
  readonly path: string;
  /** Writes a file that belongs to the builder. @throws SystemError */
  write(name: string, contents: ByteString | Buffer): void;
  delete(): void;
  /** Lets everybody look at it. */
  keep(): void;
}

/** @throws SystemError */
export function makeBuildDirectory(parent: string, drvPath: StorePath, user: BuildUser | undefined): BuildDirectory {
  const path = makeFresh(parent, `nix-build-${nameOf(drvPath)}`);
  const own = (file: string) => {
    if (user !== undefined) lchown(file, user.uid, user.gid);
  };
  own(path);
  return {
    path,
    write(name, contents) {
      const file = `${path}/${name}`;
      const fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666);
      try {
        writeAll(fd, typeof contents === "string" ? Buffer.from(contents, "latin1") : contents);
      } finally {
        close(fd);
      }
      own(file);
    },
    delete: () => void deleteTree(path),
    keep: () => chmod(path, 0o755),
  };
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
