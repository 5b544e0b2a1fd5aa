/** Rebuilding a path from its description: files that are here come from there, the others from the sender. */
import type { ByteString } from "../../formats/byte-string.ts";
import { type Codec, upTo } from "../../formats/codec.ts";
import type { NarVisitor } from "../../formats/nar/visitor.ts";
import { CannotWriteNar } from "../../formats/nar/write-nar.ts";
import { ContentMismatch } from "../../store/add-with-info.ts";
import { SiloError } from "../../error.ts";
import { close, O_NOFOLLOW, O_RDONLY, read, tryOpenAt } from "../../sys/descriptor.ts";
import { fstat } from "../../sys/stat.ts";
import { AT_FDCWD } from "../../sys/syscall.ts";
import { nodeKinds, type TreeColumns } from "./extension.ts";

/** A file that was here is not any more, or is another one. */
export class SourceGone extends SiloError {
  readonly code = "source-gone";
  constructor(readonly file: string) {
    super(`Cannot use '${file}' again: it has gone`);
  }
}

/** Is it the comparison that failed, so that sending the whole path helps? */
export function isRefusal(error: unknown): boolean {
  return error instanceof ContentMismatch || error instanceof SourceGone || error instanceof CannotWriteNar;
}

const chunkSize = 256 * 1024;

/** Bytes of the files that the sender sends. */
export function lackingSize({ sizes }: TreeColumns, sources: readonly (string | undefined)[]): number {
  return sizes.reduce((sum, size, i) => (sources[i] === undefined ? sum + size : sum), 0);
}

/**
 * Shows the tree to the visitor. All that the sender sends is read, whatever happens: what went wrong is the result, or undefined.
 * @param sources for each file where it is, or undefined for one that the sender sends
 */
export function* rebuildTree(
  tree: TreeColumns,
  sources: readonly (string | undefined)[],
  visitor: NarVisitor,
): Codec<unknown> {
  const codec = showTree(tree, sources, visitor);
  let left = lackingSize(tree, sources);
  let failure: unknown;
  try {
    let step = codec.next();
    while (!step.done) {
      const bytes = yield step.value;
      left -= bytes.length;
      step = codec.next(bytes);
    }
  } catch (error) {
    failure = error;
  }
  while (left > 0) left -= (yield upTo(Math.min(left, chunkSize))).length;
  return failure;
}

function* showTree(
  { kinds, names, targets, sizes }: TreeColumns,
  sources: readonly (string | undefined)[],
  visitor: NarVisitor,
): Codec<void> {
  let [name, target, file] = [0, 0, 0];
  for (const kind of kinds) {
    if (kind === nodeKinds.end) {
      visitor.leaveDirectory();
      continue;
    }
    const own = names[name++]! as ByteString;
    if (kind === nodeKinds.directory) visitor.directory(own);
    else if (kind === nodeKinds.symlink) visitor.symlink(own, targets[target++]! as ByteString);
    else {
      const size = sizes[file]!;
      const source = sources[file++];
      visitor.file(own, kind === nodeKinds.executable ? "executable" : "regular", size);
      if (source !== undefined) copyFrom(source, size, visitor);
      else {
        for (let left = size; left > 0; ) {
          const bytes = yield upTo(Math.min(left, chunkSize));
          left -= bytes.length;
          visitor.contents(bytes);
        }
      }
      visitor.endFile();
    }
  }
}

const buffer = Buffer.allocUnsafeSlow(chunkSize);

function copyFrom(source: string, size: number, visitor: NarVisitor): void {
  const fd = tryOpenAt(AT_FDCWD, source, O_RDONLY | O_NOFOLLOW);
  if (fd < 0) throw new SourceGone(source);
  try {
    if (fstat(fd).size !== size) throw new SourceGone(source);
    for (let left = size; left > 0; ) {
      const count = read(fd, left < chunkSize ? buffer.subarray(0, left) : buffer);
      if (count === 0) throw new SourceGone(source);
      visitor.contents(buffer.subarray(0, count));
      left -= count;
    }
  } finally {
    close(fd);
  }
}
