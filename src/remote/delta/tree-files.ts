/** The files of a tree, one after the other, with where they are in it. */
import { nodeKinds, type TreeColumns } from "./extension.ts";

export interface TreeFile {
  /** Its place among the files of the tree. */
  readonly index: number;
  /** Below the path, beginning with a slash; empty for a path that is a file. */
  readonly below: string;
  readonly kind: "regular" | "executable";
  readonly size: number;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

/** In the order of the NAR. */
export function* treeFiles({ kinds, names, sizes, hashes }: TreeColumns): Generator<TreeFile> {
  const above: string[] = [];
  let name = 0;
  let index = 0;
  for (const kind of kinds) {
    if (kind === nodeKinds.end) {
      above.pop();
      continue;
    }
    const own = names[name++]!;
    const below = above.length === 0 ? "" : `${above[above.length - 1]}/${own}`;
    if (kind === nodeKinds.directory) above.push(below);
    else if (kind !== nodeKinds.symlink) {
      yield {
        index,
        below,
        kind: kind === nodeKinds.executable ? "executable" : "regular",
        size: sizes[index]!,
        hash: hashes.subarray(index * 32, index * 32 + 32),
      };
      index++;
    }
  }
}

/** One bit a file. */
export function bitmap(count: number, isSet: (index: number) => boolean): Uint8Array {
  const bits = new Uint8Array(Math.ceil(count / 8));
  for (let i = 0; i < count; i++) if (isSet(i)) bits[i >> 3]! |= 1 << (i & 7);
  return bits;
}

/** False beyond the end. */
export function hasBit(bits: Uint8Array, index: number): boolean {
  return ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
}
