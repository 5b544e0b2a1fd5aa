/**
 * Canonical metadata: a store object has no owner but the store's, no times, no permissions but 0444 and 0555, no
 * ACLs and no extended attributes. For trees that others made (builders); {@link restoreTree} makes them so at once.
 */
import { SiloError } from "../../error.ts";
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt } from "../../sys/descriptor.ts";
import { readDirectoryEntries } from "../../sys/directory.ts";
import { chmod, lchown, listExtendedAttributes, removeExtendedAttribute, setMtime } from "../../sys/metadata.ts";
import { lstat, type Stat } from "../../sys/stat.ts";
import { AT_FDCWD } from "../../sys/syscall.ts";

/** One second after the epoch: 0 confuses programs that take it for "none". */
export const canonicalMtimeSec = 1;

export class SuspiciousFile extends SiloError {
  readonly code = "suspicious-file";
  constructor(
    readonly path: string,
    readonly reason: string,
  ) {
    super(`Cannot take '${path}' into the store: ${reason}`);
  }
}

export interface CanonicalOwner {
  readonly uid: number;
  readonly gid: number;
}

export interface CanonicaliseOptions {
  /** Who owns the store's files. */
  readonly owner: CanonicalOwner;
  /**
   * The build user that must own every file, so that a hard link to somebody else's file cannot come in; undefined
   * when there was none.
   */
  readonly builderUid: number | undefined;
  /** Attributes that stay, since they cannot be removed (setting `ignored-acls`). */
  readonly ignoredAttributes: ReadonlySet<string>;
  /** Files seen in this build, for hard links between and within outputs; shared by the calls for one build. */
  readonly seen: Set<string>;
}

/** @throws SuspiciousFile for another type of file or owner; SystemError */
export function canonicaliseTree(path: string, options: CanonicaliseOptions): void {
  canonicaliseEntry(path, AT_FDCWD, path, options);
}

function canonicaliseEntry(name: string, dirFd: number, shown: string, options: CanonicaliseOptions): void {
  const { status, state } = claimEntry(name, dirFd, shown, options);
  if (state === "canonical") return;
  if (status.kind === "directory") {
    const fd = openToList(name, dirFd, status);
    try {
      for (const entry of readDirectoryEntries(fd))
        canonicaliseEntry(entry.name, fd, `${shown}/${entry.name}`, options);
    } finally {
      close(fd);
    }
  }
  canonicaliseModeAndTime(name, dirFd, status);
}

/** Opens a directory, whatever its permissions are; its mode is set behind. */
export function openToList(name: string, dirFd: number, { mode }: Stat): number {
  if ((mode & 0o500) !== 0o500) chmod(name, 0o555, dirFd);
  return openAt(dirFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

/**
 * Makes one file or directory the store's: owner and attributes, not yet mode and time. `canonical`: it is a further name
 * of a file that has been seen, and nothing is left to do.
 * @throws SuspiciousFile, SystemError
 */
export function claimEntry(
  name: string,
  dirFd: number,
  shown: string,
  options: CanonicaliseOptions,
): { readonly status: Stat; readonly state: "claimed" | "canonical" } {
  const status = lstat(name, dirFd);
  if (status.kind === "other") throw new SuspiciousFile(shown, "it is a socket, device or fifo");
  // Checked through the directory's descriptor, before anything is changed: chown would hide a foreign hard link.
  const identity = `${status.dev}:${status.inode}`;
  if (options.builderUid !== undefined && status.uid !== options.builderUid) {
    if (options.seen.has(identity)) return { status, state: "canonical" };
    throw new SuspiciousFile(
      shown,
      `suspicious ownership, it belongs to uid ${status.uid} and not to the builder's ${options.builderUid}`,
    );
  }
  if (status.nlink > 1 || options.builderUid !== undefined) options.seen.add(identity);
  removeAttributes(name, dirFd, shown, options.ignoredAttributes);

  if (status.uid !== options.owner.uid || status.gid !== options.owner.gid) {
    lchown(name, options.owner.uid, options.owner.gid, dirFd);
  }
  return { status, state: "claimed" };
}

function removeAttributes(name: string, dirFd: number, shown: string, ignored: ReadonlySet<string>): void {
  // There are no calls for attributes that take a directory's descriptor. Through /proc a path of any length can be reached,
  // and by no link that somebody swaps in.
  const path = dirFd === AT_FDCWD ? name : `/proc/self/fd/${dirFd}/${name}`;
  for (const attribute of listExtendedAttributes(path, shown)) {
    if (!ignored.has(attribute)) removeExtendedAttribute(path, attribute, shown);
  }
}

/** Sets mode and time of one file or directory where they differ. @throws SystemError */
export function canonicaliseModeAndTime(name: string, dirFd: number, status: Stat): void {
  if (status.kind !== "symlink") {
    const mode = status.kind === "directory" || status.mode & 0o100 ? 0o555 : 0o444;
    if (status.mode !== mode) chmod(name, mode, dirFd);
  }
  if (status.mtimeSec !== canonicalMtimeSec || status.mtimeNsec !== 0 || status.kind === "directory") {
    setMtime(name, canonicalMtimeSec, dirFd);
  }
}
