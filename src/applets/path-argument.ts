/**
 * Store paths as people give them: store paths and paths inside of them, relative or absolute, and links to such from
 * outside the store.
 */
import { SiloError } from "../error.ts";
import type { ByteString } from "../formats/byte-string.ts";
import { canonicalPath } from "../formats/settings/canonical-path.ts";
import {
  BadStorePath,
  isInStore,
  parseFullStorePath,
  type StoreDir,
  type StorePath,
  toStorePath,
} from "../formats/store-path.ts";
import { readlink } from "../sys/names.ts";
import { lstat } from "../sys/stat.ts";
import { SystemError } from "../sys/system-error.ts";
import { workingDirectory } from "../sys/working-directory.ts";

export class NotInStore extends SiloError {
  readonly code = "not-in-store";
  constructor(readonly path: string) {
    super(`path '${path}' is not in the Nix store`);
  }
}

/**
 * The store path that an argument leads to: as long as it is outside the store and a link, the link is followed.
 * @throws NotInStore, BadStorePath, SystemError
 */
export function followToStorePath(dir: StoreDir, argument: ByteString): StorePath {
  return toStorePath(dir, followToStore(dir, argument));
}

/** As {@link followToStorePath}, with what comes behind the store path. @throws NotInStore, SystemError */
export function followToStore(dir: StoreDir, argument: ByteString): ByteString {
  let path = absolutePath(argument);
  for (let links = 0; !isInStore(dir, path); links++) {
    if (lstat(path).kind !== "symlink") throw new NotInStore(path);
    if (links === maxLinks) throw new SystemError(`following the links from '${argument}'`, ELOOP);
    const target = readlink(path);
    const from = path.slice(0, path.lastIndexOf("/"));
    path = canonicalPath((target.startsWith("/") ? target : `${from}/${target}`) as ByteString)!;
  }
  return path;
}

/** A full store path as it stands; links are not followed. @throws BadStorePath */
export function parsePathArgument(dir: StoreDir, argument: ByteString): StorePath {
  const path = canonicalPath(argument);
  if (path === undefined) throw new BadStorePath(argument, "is not an absolute path");
  return parseFullStorePath(dir, path);
}

/** Relative to the current directory, in canonical form. */
export function absolutePath(argument: ByteString): ByteString {
  return canonicalPath(argument.startsWith("/") ? argument : (`${workingDirectory()}/${argument}` as ByteString))!;
}

/** As in the kernel. */
const maxLinks = 40;
const ELOOP = 40;
