/** `silo tree`: what a path needs, as a tree. */
import { UsageError } from "../../error.ts";
import type { ByteString } from "../../formats/byte-string.ts";
import { printStorePath, type StorePath } from "../../formats/store-path.ts";
import type { Store } from "../../store/store.ts";
import { commandApplet } from "../command-line.ts";
import { tree as printTree } from "../nix-store/query/tree.ts";
import { loadGraph, visitSmallestFirst } from "../nix-store/query/reference-graph.ts";
import { withStore } from "../open-store.ts";
import { followToStorePath } from "../path-argument.ts";
import { openSession } from "../session.ts";

export const tree = commandApplet(
  {
    name: "silo tree",
    family: "silo",
    summary: "Show what paths need as a tree",
    usage: ["[--json] PATHS…"],
    examples: [
      { does: "What a program needs when it runs", command: "silo tree ./result" },
      { does: "What it takes to build it", command: "silo tree /nix/store/…-hello.drv" },
    ],
    options: { json: { help: "Print an object: of every path in the tree, the list of those that it needs itself" } },
  },
  (line, io) =>
    withStore(openSession(line, io), (store) => {
      if (line.operands.length === 0) throw new UsageError("'silo tree' needs store paths");
      if (line.has("json")) io.out(`${JSON.stringify(referencesBelow(store, line.operands), null, 2)}\n`);
      else printTree({ store, io, operands: line.operands });
      return 0;
    }),
);

function referencesBelow(store: Store, operands: readonly ByteString[]): Record<string, string[]> {
  const starts = operands.map((operand) => followToStorePath(store.storeDir, operand));
  const infoOf = loadGraph(store, starts);
  const show = (path: StorePath) => printStorePath(store.storeDir, path);
  const found: Record<string, string[]> = {};
  visitSmallestFirst(starts, (path) => {
    const references = infoOf(path).references.filter((each) => each !== path);
    found[show(path)] = references.map(show);
    return references;
  });
  return found;
}
