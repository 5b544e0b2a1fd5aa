/** What a path consists of, with the names that its files have or would have in `.links`. */
import { decodeBase32 } from "../../formats/base32.ts";
import { maxDepth } from "../../formats/nar/format.ts";
import { fileLinkName } from "../../store/link-hash.ts";
import { type LocalStore, realPath } from "../../store/local-store.ts";
import { UnsupportedFile } from "../../store/tree/walk.ts";
import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt } from "../../sys/descriptor.ts";
import { readDirectory, readDirectoryEntries } from "../../sys/directory.ts";
import { exists, readlink } from "../../sys/names.ts";
import { type FileKind, fstat, lstat } from "../../sys/stat.ts";
import { AT_FDCWD } from "../../sys/syscall.ts";
import type { StorePath } from "../../formats/store-path.ts";
import { nodeKinds, type TreeColumns } from "./extension.ts";

const hashSize = 32;
const ownerExecute = 0o100;

/** Names in `.links` by inode, so that files which are there need not be read. Empty without optimise. */
export type LinkNames = ReadonlyMap<number, string>;

export function linkNames(store: LocalStore): LinkNames {
  const links = `${store.realStoreDir}/.links`;
  if (!exists(links)) return new Map();
  return new Map(readDirectory(links).map(({ inode, name }) => [inode, name]));
}

/** Pauses after each file. @throws UnsupportedFile, SystemError */
export function* describeTree(store: LocalStore, path: StorePath, known: LinkNames): Generator<void, TreeColumns> {
  const kinds: number[] = [];
  const names: string[] = [];
  const targets: string[] = [];
  const sizes: number[] = [];
  const hashes: Uint8Array[] = [];

  function* node(dirFd: number, name: string, kind: FileKind, shown: string, depth: number): Generator<void> {
    names.push(depth === 0 ? "" : name);
    switch (kind) {
      case "symlink":
        kinds.push(nodeKinds.symlink);
        targets.push(readlink(name, dirFd));
        break;
      case "regular":
        file(dirFd, name);
        yield;
        break;
      case "directory":
        yield* directory(dirFd, name, shown, depth);
        break;
      case "other":
        throw new UnsupportedFile(shown, "it is a socket, device or fifo; only files, directories and symlinks can be");
    }
  }

  function file(dirFd: number, name: string): void {
    const fd = openAt(dirFd, name, O_RDONLY | O_NOFOLLOW);
    try {
      const { size, mode, inode } = fstat(fd);
      const kind = mode & ownerExecute ? "executable" : "regular";
      kinds.push(nodeKinds[kind]);
      sizes.push(size);
      const linkName = known.get(inode);
      const hash = linkName === undefined ? undefined : decodeBase32(linkName, hashSize);
      hashes.push(hash ?? decodeBase32(fileLinkName(fd, kind, size), hashSize)!);
    } finally {
      close(fd);
    }
  }

  function* directory(dirFd: number, name: string, shown: string, depth: number): Generator<void> {
    if (depth >= maxDepth) throw new UnsupportedFile(shown, `it lies deeper than ${maxDepth} directories`);
    kinds.push(nodeKinds.directory);
    const fd = openAt(dirFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      const entries = readDirectoryEntries(fd).sort((a, b) => (a.name < b.name ? -1 : 1));
      for (const entry of entries) yield* node(fd, entry.name, entry.kind, `${shown}/${entry.name}`, depth + 1);
    } finally {
      close(fd);
    }
    kinds.push(nodeKinds.end);
  }

  const root = realPath(store, path);
  yield* node(AT_FDCWD, root, lstat(root).kind, root, 0);
  return { kinds: Uint8Array.from(kinds), names, targets, sizes, hashes: Buffer.concat(hashes) };
}

/** Runs to the end at once. */
export function toTheEnd<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
