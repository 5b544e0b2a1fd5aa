/**
 * NAR, the Nix archive: one file, directory or symbolic link as a canonical sequence of bytes.
 *
 *     nar   = str("nix-archive-1") node
 *     node  = str("(") str("type") body str(")")
 *     body  = str("regular") [str("executable") str("")] str("contents") str(data)
 *           | str("directory") {str("entry") str("(") str("name") str(name) str("node") node str(")")}
 *           | str("symlink") str("target") str(target)
 *
 * `str` is the string of wire.ts: length, bytes, zero padding to a multiple of 8. A tree has exactly one NAR, and only
 * that one is accepted, as by Nix since 2.24.6 (older ones were lax):
 * - Entries ascend strictly by the bytes of their names, a shorter prefix first.
 * - A name has 1 to 255 bytes, is not `.` or `..`, and holds neither `/` nor NUL.
 * - A target has 1 to 4095 bytes and no NUL.
 * - Nodes lie at most 63 directories deep.
 * - Nothing is missing, repeated or in another order.
 * Bytes after the NAR are not looked at: who knows its size compares.
 *
 * The reader and the writer go tag by tag only on paper. As the tags between two variable parts are constant, and every
 * body begins with the same number of constant bytes, whole runs of tags are compared and copied at once. A malformed
 * NAR that also ends early may thus be reported as ended early.
 * See the Nix manual, "Nix Archive (NAR) format".
 */
import { SiloError } from "../../error.ts";
import type { ByteString } from "../byte-string.ts";
import { WireWriter } from "../wire.ts";

export type FileKind = "regular" | "executable";

export class BadNar extends SiloError {
  readonly code = "bad-nar";
  constructor(
    /** Bytes from the beginning of the NAR to what is wrong. */
    readonly offset: number,
    readonly reason: string,
  ) {
    super(`Cannot read NAR: at byte ${offset}: ${reason}`);
  }
}

/** Nodes whose path from the root has this many names are refused, when reading and when writing. */
export const maxDepth = 64;
/** Bytes of an entry's name at most. */
export const maxEntryNameLength = 255;
/** Bytes of a link's target at most. */
export const maxTargetLength = 4095;
/** Bytes of a tag at most: longer than any tag, and short enough to quote. */
export const maxTagLength = 32;

/** What begins every NAR, up to the type of the root. */
export const prologue = tags("nix-archive-1", "(", "type");
/** From an entry's beginning to the length of its name. */
export const entryOpen = tags("entry", "(", "name");
/** From an entry's name to the type of its node. */
export const nodeOpen = tags("node", "(", "type");
export const close = tags(")");
/** Closes a node and the entry that it is in. */
export const closeEntry = tags(")", ")");

/** Each body up to its first variable part. */
export const regularBody = tags("regular", "contents");
export const executableBody = tags("regular", "executable", "", "contents");
export const directoryBody = tags("directory");
export const symlinkBody = tags("symlink", "target");

/** Bytes of the smallest str: a tag of up to 8 bytes. */
export const tagSize = 16;

/** Bytes that a string of `length` bytes takes, without the length in front. */
export function padded(length: number): number {
  return length + (-length & 7);
}

/** Why `name` cannot name an entry, or undefined when it can. */
export function entryNameFault(name: ByteString): string | undefined {
  if (name.length === 0) return "it is empty";
  if (name.length > maxEntryNameLength)
    return `it is ${name.length} bytes long, at most ${maxEntryNameLength} are allowed`;
  if (name === "." || name === "..") return 'it is "." or ".."';
  if (name.includes("/")) return "it contains a slash";
  if (name.includes("\0")) return "it contains a NUL byte";
  return undefined;
}

/** Why `target` cannot be a link's target, or undefined when it can. */
export function targetFault(target: ByteString): string | undefined {
  if (target.length === 0) return "it is empty";
  if (target.length > maxTargetLength)
    return `it is ${target.length} bytes long, at most ${maxTargetLength} are allowed`;
  if (target.includes("\0")) return "it contains a NUL byte";
  return undefined;
}

function tags(...names: readonly string[]): Uint8Array {
  const writer = new WireWriter();
  for (const name of names) writer.string(name);
  return new Uint8Array(writer.take());
}
