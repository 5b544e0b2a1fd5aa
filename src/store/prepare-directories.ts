/** The directories of a store and its state, made when missing with the modes that Nix gives them. */
import { SiloError } from "../error.ts";
import { close, fallocate, ftruncate, O_CREAT, O_WRONLY, open } from "../sys/descriptor.ts";
import { chmod, lchown } from "../sys/metadata.ts";
import { remountWritable, statFileSystem, unshareMounts } from "../sys/mount.ts";
import { exists, mkdirs, symlink, tryMkdir } from "../sys/names.ts";
import { lstat, tryStat } from "../sys/stat.ts";
import { isSystemError } from "../sys/system-error.ts";
import { findGroup, findUserById } from "../sys/user-database.ts";
import type { LocalStoreConfig } from "./local-store.ts";

export class SymlinkedStore extends SiloError {
  readonly code = "symlinked-store";
  constructor(readonly path: string) {
    super(
      `the path '${path}' is a symlink; this is not allowed for the Nix store and its parent directories ` +
        "(NIX_IGNORE_SYMLINK_STORE=1 allows it)",
    );
  }
}

/** @throws SystemError */
export function prepareDirectories(config: LocalStoreConfig): void {
  const { realStoreDir, stateDir, dbDir } = config;
  mkdirs(realStoreDir);
  if (process.getuid?.() === 0) {
    liftReadOnlyMount(realStoreDir);
    handToBuildUsers(config);
  }
  tryMkdir(`${realStoreDir}/.links`);
  for (const directory of [dbDir, `${stateDir}/temproots`, `${stateDir}/profiles`]) mkdirs(directory);
  const gcRoots = `${stateDir}/gcroots`;
  if (!exists(gcRoots)) {
    mkdirs(gcRoots);
    symlinkUnlessThere(`${stateDir}/profiles`, `${gcRoots}/profiles`);
  }
  for (const perUser of [`${stateDir}/profiles/per-user`, `${gcRoots}/per-user`]) makePerUser(perUser);
  reserveSpace(`${dbDir}/reserved`, config.settings.get("gc-reserved-space"));
}

/** Everybody's directories; a new one gets that of the calling user, too. */
function makePerUser(directory: string): void {
  if (!tryMkdir(directory, 0o755)) return;
  chmod(directory, 0o755);
  const user = findUserById(process.geteuid!());
  if (user !== undefined && tryMkdir(`${directory}/${user.name}`, 0o755)) chmod(`${directory}/${user.name}`, 0o755);
}

/** @throws SymlinkedStore when the store directory or one above it is a symbolic link */
export function refuseSymlinkedStore(storeDir: string): void {
  for (let path = storeDir; path !== "" && path !== "/"; path = path.slice(0, path.lastIndexOf("/"))) {
    if (lstat(path).kind === "symlink") throw new SymlinkedStore(path);
  }
}

/** For purity the store may be a read-only bind mount: this process gets a writable one of its own. Root only. */
function liftReadOnlyMount(storeDir: string): void {
  if (!statFileSystem(storeDir).readOnly) return;
  unshareMounts();
  remountWritable(storeDir);
}

/** With build users, whoever is in their group may make paths, but not delete those of others. */
function handToBuildUsers({ realStoreDir, settings, reporter }: LocalStoreConfig): void {
  const name = settings.get("build-users-group");
  if (name === "") return;
  const group = findGroup(name);
  if (group === undefined) {
    reporter.message("warning", `warning: the group '${name}' specified in 'build-users-group' does not exist`);
    return;
  }
  const status = tryStat(realStoreDir)!;
  const mode = 0o1775;
  if (status.uid === 0 && status.gid === group.gid && status.mode === mode) return;
  lchown(realStoreDir, 0, group.gid);
  chmod(realStoreDir, mode);
}

function symlinkUnlessThere(target: string, path: string): void {
  try {
    symlink(target, path);
  } catch (error) {
    if (!isSystemError(error, "EEXIST")) throw error; // another process was faster
  }
}

/**
 * A full disk must leave room for the transaction of the collection that frees it: the collector deletes this file
 * first. Best effort.
 */
function reserveSpace(path: string, bytes: number): void {
  try {
    if (tryStat(path)?.size === bytes) return;
    const fd = open(path, O_WRONLY | O_CREAT, 0o600);
    try {
      ftruncate(fd, 0);
      if (!fallocate(fd, bytes)) ftruncate(fd, 0);
    } finally {
      close(fd);
    }
  } catch (error) {
    if (!isSystemError(error)) throw error; // no room, no permission: collecting is no worse off than without us
  }
}
