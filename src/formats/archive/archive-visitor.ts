/** What archives are unpacked to: a visitor that hears of each entry in the order of the archive, by its path. */
import { SiloError } from "../../error.ts";
import type { ByteString } from "../byte-string.ts";
import type { FileKind } from "../nar/format.ts";

/**
 * Paths are relative and without `.`, `..` and empty parts. A path can occur again: the later entry takes the place of the earlier
 * one. Parents of an entry may have been left out.
 */
export interface ArchiveVisitor {
  directory(path: ByteString): void;
  /** {@link contents} follows as often as it takes, then {@link endFile}. */
  file(path: ByteString, kind: FileKind): void;
  /** The next bytes of the file; valid during the call only. */
  contents(chunk: Uint8Array): void;
  endFile(): void;
  symlink(path: ByteString, target: ByteString): void;
  /** Another name of the file `target`, which is a path, too. */
  hardlink(path: ByteString, target: ByteString): void;
}

/** An archive that cannot be read, or that holds what must not be unpacked. */
export class BadArchive extends SiloError {
  readonly code = "bad-archive";
  constructor(
    /** Bytes from the beginning of the archive, without its compression; undefined when that is not known. */
    readonly offset: number | undefined,
    readonly reason: string,
  ) {
    super(`Cannot unpack the archive: ${offset === undefined ? "" : `at byte ${offset}: `}${reason}`);
  }
}

/** Bytes of a path at most, as Linux has it. */
export const maxPathLength = 4096;

/** The path in its shortest form; empty for the root itself. @throws BadArchive when it leads out of the tree */
export function archivePath(name: ByteString, offset: number): ByteString {
  const shown = () => JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
  if (name.length > maxPathLength) throw new BadArchive(offset, `the name ${shown()} is ${name.length} bytes long`);
  if (name.startsWith("/")) throw new BadArchive(offset, `the name ${shown()} is absolute`);
  if (name.includes("\0")) throw new BadArchive(offset, `the name ${shown()} has a NUL byte`);
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new BadArchive(offset, `the name ${shown()} leads out of the tree`);
  return parts.join("/") as ByteString;
}
