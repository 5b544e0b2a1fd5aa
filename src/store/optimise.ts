/**
 * Saving space: files with the same contents become hard links of one inode, which `.links` names by the hash of the
 * file's own NAR. Symbolic links take part. Another process may do the same at the same time. See store-layout,
 * "optimise".
 */
import type { StorePath } from "../formats/store-path.ts";
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, open, openAt } from "../sys/descriptor.ts";
import { type DirectoryEntry, readDirectory, readDirectoryEntries } from "../sys/directory.ts";
import { fchmod, setDescriptorMtime } from "../sys/metadata.ts";
import { readlink, tryLink, tryRename, tryUnlink } from "../sys/names.ts";
import { fstat, lstat, type Stat, tryLstat } from "../sys/stat.ts";
import { AT_FDCWD } from "../sys/syscall.ts";
import { SystemError } from "../sys/system-error.ts";
import { fileLinkName, symlinkLinkName } from "./link-hash.ts";
import { type LocalStore, realPath, showPath } from "./local-store.ts";
import { requireWritable } from "./open-local-store.ts";
import { isValidPath, queryAllValidPaths } from "./queries.ts";
import { canonicalMtimeSec } from "./tree/canonical-metadata.ts";
import { compileQuickly } from "./tree/quick-compilation.ts";

export interface OptimiseStats {
  /** Files that became links to another one's inode. */
  filesLinked: number;
  bytesFreed: number;
  /** Of 512 bytes. */
  blocksFreed: number;
}

const ENOENT = 2;
const EEXIST = 17;
const ENOSPC = 28;
const EMLINK = 31;

/** Optimises every valid path. @param onPath told before each, with its number and the count */
export function optimiseStore(
  store: LocalStore,
  onPath: (path: StorePath, index: number, count: number) => void,
): OptimiseStats {
  requireWritable(store);
  compileQuickly(optimiseDirectory, optimiseFile, shareFile, identify, replaceByLink, fileLinkName);
  const stats = noSavings();
  const linked = linkedInodes(store);
  const paths = queryAllValidPaths(store);
  paths.forEach((path, index) => {
    onPath(path, index, paths.length);
    store.tempRoots.add([showPath(store, path)]);
    if (isValidPath(store, path)) optimiseTree(store, path, stats, linked); // else it was collected meanwhile
  });
  return stats;
}

export function noSavings(): OptimiseStats {
  return { filesLinked: 0, bytesFreed: 0, blocksFreed: 0 };
}

/** Inodes that are in `.links` already, so that their files need not be read again. */
function linkedInodes(store: LocalStore): Set<number> {
  return new Set(readDirectory(`${store.realStoreDir}/.links`).map(({ inode }) => inode));
}

/** Optimises the files of one path, which must be in the store with canonical metadata. @throws SystemError */
export function optimiseTree(
  store: LocalStore,
  path: StorePath,
  stats: OptimiseStats = noSavings(),
  linked: Set<number> = new Set(),
): void {
  const links = open(`${store.realStoreDir}/.links`, O_RDONLY | O_DIRECTORY);
  try {
    const context: Context = { store, links, linked, stats };
    const root = realPath(store, path);
    const { kind, inode } = lstat(root);
    if (kind === "directory") optimiseDirectory(context, AT_FDCWD, root, root);
    // The store directory itself is writable, and its time is nobody's business.
    else if (!linked.has(inode)) optimiseFile(context, AT_FDCWD, root, kind, root, () => {});
  } finally {
    close(links);
  }
}

/** Shares files whose hash is known from a pass over them that had another purpose. */
export interface FileSharer {
  /**
   * @param linkName of the file (link-hash.ts), which has canonical metadata
   * @param makeWritable called before the directory is changed; who calls sets its metadata behind
   */
  share(dirFd: number, name: string, status: Stat, linkName: string, shown: string, makeWritable: () => void): void;
  close(): void;
}

/** @throws SystemError */
export function openFileSharer(store: LocalStore, stats: OptimiseStats = noSavings()): FileSharer {
  const links = open(`${store.realStoreDir}/.links`, O_RDONLY | O_DIRECTORY);
  const context: Context = { store, links, linked: new Set(), stats };
  return {
    share(dirFd, name, status, linkName, shown, makeWritable) {
      shareFile(context, dirFd, name, { status, linkName }, shown, makeWritable);
    },
    close: () => close(links),
  };
}

interface Context {
  readonly store: LocalStore;
  /** The directory `.links`. */
  readonly links: number;
  readonly linked: Set<number>;
  readonly stats: OptimiseStats;
}

function optimiseDirectory(context: Context, parentFd: number, name: string, shown: string): void {
  const fd = openAt(parentFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  let touched = false;
  const makeWritable = () => {
    if (touched) return;
    touched = true;
    if (process.geteuid!() !== 0) fchmod(fd, 0o755);
  };
  try {
    for (const entry of readDirectoryEntries(fd)) {
      const child = `${shown}/${entry.name}`;
      if (entry.kind === "directory") optimiseDirectory(context, fd, entry.name, child);
      else if (!context.linked.has(entry.inode)) optimiseFile(context, fd, entry.name, entry.kind, child, makeWritable);
    }
  } finally {
    if (touched) {
      fchmod(fd, 0o555);
      setDescriptorMtime(fd, canonicalMtimeSec);
    }
    close(fd);
  }
}

function optimiseFile(
  context: Context,
  dirFd: number,
  name: string,
  kind: DirectoryEntry["kind"],
  shown: string,
  makeWritable: () => void,
): void {
  const file = identify(context, dirFd, name, kind, shown);
  if (file !== undefined) shareFile(context, dirFd, name, file, shown, makeWritable);
}

interface IdentifiedFile {
  readonly status: Stat;
  readonly linkName: string;
}

function shareFile(
  context: Context,
  dirFd: number,
  name: string,
  { status, linkName }: IdentifiedFile,
  shown: string,
  makeWritable: () => void,
): void {
  for (;;) {
    const result = tryLink(name, linkName, dirFd, context.links);
    if (result === 0) {
      context.linked.add(status.inode);
      return;
    }
    // ENOSPC: the index of an ext4 directory is full. EMLINK: this inode has all the links it can have.
    if (result === -ENOSPC || result === -EMLINK) return;
    if (result !== -EEXIST) throw new SystemError(`linking '${shown}' to '.links/${linkName}'`, -result);

    const known = tryLstat(linkName, context.links);
    if (known === undefined) continue; // a collector removed it since
    if (known.inode === status.inode && known.dev === status.dev) return;
    if (known.size !== status.size) {
      context.store.reporter.message("warning", `removing corrupted link '.links/${linkName}'`);
      tryUnlink(linkName, context.links);
      continue;
    }
    makeWritable();
    if (replaceByLink(context, dirFd, name, linkName, shown, status) === "again") continue;
    context.linked.add(known.inode);
    return;
  }
}

/** What the file is and what `.links` calls it; undefined for one that does not take part. */
function identify(
  { store, linked }: Context,
  dirFd: number,
  name: string,
  kind: DirectoryEntry["kind"],
  shown: string,
): IdentifiedFile | undefined {
  if (kind === "symlink") {
    const status = lstat(name, dirFd);
    if (linked.has(status.inode)) return undefined;
    return { status, linkName: symlinkLinkName(readlink(name, dirFd)) };
  }
  if (kind !== "regular") return undefined;
  const fd = openAt(dirFd, name, O_RDONLY | O_NOFOLLOW);
  try {
    const status = fstat(fd);
    if (status.mode & 0o200) {
      // Somebody wrote in the store: sharing the file would spread the damage.
      store.reporter.message("warning", `skipping suspicious writable file '${shown}'`);
      return undefined;
    }
    return { status, linkName: fileLinkName(fd, status.mode & 0o100 ? "executable" : "regular", status.size) };
  } finally {
    close(fd);
  }
}

let temporaries = 0;

/** Puts a link to the known inode in the file's place, atomically. */
function replaceByLink(
  { store, links, stats }: Context,
  dirFd: number,
  name: string,
  linkName: string,
  shown: string,
  status: Stat,
): "done" | "again" {
  const temporary = `${store.realStoreDir}/.tmp-link-${process.pid}-${temporaries++}`;
  const made = tryLink(linkName, temporary, links);
  if (made === -EEXIST) tryUnlink(temporary); // of a dead process that had our pid
  if (made === -ENOENT || made === -EEXIST) return "again";
  if (made === -EMLINK) return fullyLinked(store, linkName, status);
  if (made < 0) throw new SystemError(`linking '.links/${linkName}' to '${temporary}'`, -made);
  const renamed = tryRename(temporary, name, AT_FDCWD, dirFd);
  if (renamed < 0) {
    tryUnlink(temporary);
    if (renamed === -ENOENT) return "again"; // Nix's collector deletes such temporaries
    if (renamed === -EMLINK) return fullyLinked(store, linkName, status);
    throw new SystemError(`replacing '${shown}' by a link`, -renamed);
  }
  stats.filesLinked++;
  stats.bytesFreed += status.size;
  stats.blocksFreed += status.blocks;
  return "done";
}

function fullyLinked(store: LocalStore, linkName: string, status: Stat): "done" {
  if (status.size > 0) store.reporter.message("info", `'.links/${linkName}' has maximum number of links`);
  return "done";
}
