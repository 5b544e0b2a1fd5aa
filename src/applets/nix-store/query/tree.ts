/**
 * `--tree`: references as a tree of text. Of two references the one that needs the other comes later, which keeps the
 * tree flat; a path that was shown before is shown again without what is below it.
 */
import { fromText } from "../../../formats/byte-string.ts";
import { printStorePath, type StorePath } from "../../../formats/store-path.ts";
import { topologicalOrder } from "../../../store/topological-order.ts";
import { followToStorePath } from "../../path-argument.ts";
import type { QueryContext } from "./query.ts";
import { type InfoOf, loadGraph } from "./reference-graph.ts";

const branch = fromText("├───");
const lastBranch = fromText("└───");
const line = fromText("│   ");
const blank = "    ";

interface Row {
  readonly path: StorePath;
  /** What is in front of the path. */
  readonly firstPad: string;
  /** What is in front of the rows below it. */
  readonly tailPad: string;
}

export function tree({ store, io, operands }: Pick<QueryContext, "store" | "io" | "operands">): void {
  const roots = operands.map((operand) => followToStorePath(store.storeDir, operand));
  const infoOf = loadGraph(store, roots);
  const shown = new Set<StorePath>();
  const rows: Row[] = roots.map((path) => ({ path, firstPad: "", tailPad: "" })).reverse();
  for (let row = rows.pop(); row !== undefined; row = rows.pop()) {
    const { path, firstPad, tailPad } = row;
    const text = `${firstPad}${printStorePath(store.storeDir, path)}`;
    if (shown.has(path)) {
      io.out(`${text} [...]\n`);
      continue;
    }
    shown.add(path);
    io.out(`${text}\n`);
    const references = sortReferences(infoOf, path);
    for (let i = references.length - 1; i >= 0; i--) {
      const isLast = i === references.length - 1;
      rows.push({
        path: references[i]!,
        firstPad: tailPad + (isLast ? lastBranch : branch),
        tailPad: tailPad + (isLast ? blank : line),
      });
    }
  }
}

/** A path's references, each after those that it refers to. */
function sortReferences(infoOf: InfoOf, path: StorePath): StorePath[] {
  const { references } = infoOf(path);
  const position = new Map(references.map((reference, i) => [reference, i]));
  const edges = references.map((reference) => infoOf(reference).references.flatMap((each) => position.get(each) ?? []));
  return topologicalOrder(edges).map((i) => references[i]!);
}
