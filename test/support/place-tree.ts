/** Puts trees on disk by our own system calls, which keep the bytes of names under every runtime. */
import type { ByteString } from "../../src/formats/byte-string.ts";
import { type NarTree, TreeBuilder, visitTree } from "../../src/formats/nar/tree.ts";
import { restoreTree } from "../../src/store/tree/restore.ts";
import { walkTree } from "../../src/store/tree/walk.ts";

/** `path` must not exist. */
export function placeTree(tree: NarTree, path: string): void {
  visitTree(tree, restoreTree(path, "plain"));
}

/** What is on disk at `path`. */
export function readTree(path: string): NarTree {
  const builder = new TreeBuilder();
  walkTree(path, builder);
  return builder.finish();
}

export const file = (text: string): NarTree => ({
  kind: "regular",
  contents: new Uint8Array(Buffer.from(text, "latin1")),
});
export const executable = (text: string): NarTree => ({
  kind: "executable",
  contents: new Uint8Array(Buffer.from(text)),
});
export const link = (target: string): NarTree => ({ kind: "symlink", target: target as ByteString });
export const folder = (entries: Readonly<Record<string, NarTree>>): NarTree => ({
  kind: "directory",
  entries: new Map(Object.entries(entries) as [ByteString, NarTree][]),
});
