/** Puts a tree on disk by plain node:fs calls, for comparison with other programs. Names are bytes. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import type { NarTree } from "../../src/formats/nar/tree.ts";

/** `path` must not exist. */
export function putOnDisk(tree: NarTree, path: Buffer): void {
  switch (tree.kind) {
    case "symlink":
      symlinkSync(Buffer.from(tree.target, "latin1"), path);
      break;
    case "directory":
      mkdirSync(path);
      for (const [name, child] of tree.entries) {
        putOnDisk(child, Buffer.concat([path, Buffer.from("/"), Buffer.from(name, "latin1")]));
      }
      break;
    default:
      writeFileSync(path, tree.contents, { mode: tree.kind === "executable" ? 0o755 : 0o644, flag: "wx" });
  }
}
