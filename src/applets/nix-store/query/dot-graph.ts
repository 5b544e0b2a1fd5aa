/** `--graph`: references for the program dot. Edges go from what is needed to what needs it. */
import { nameOf, type StorePath } from "../../../formats/store-path.ts";
import type { QueryContext } from "./query.ts";
import { loadGraph, visitSmallestFirst } from "./reference-graph.ts";
import { allTargets } from "./targets.ts";

/** Of edges, in turn. */
const colours = ["black", "red", "green", "blue", "magenta", "burlywood"];

export async function dotGraph(context: QueryContext): Promise<void> {
  const { io, store } = context;
  const starts = await allTargets(context);
  const infoOf = loadGraph(store, starts);
  let edges = 0;
  io.out("digraph G {\n");
  visitSmallestFirst(starts, (path) => {
    io.out(`"${path}" [label = "${nameOf(path)}", shape = box, style = filled, fillcolor = "#ff0000"];\n`);
    const references: StorePath[] = infoOf(path).references.filter((reference) => reference !== path);
    for (const reference of references) {
      io.out(`"${reference}" -> "${path}" [color = "${colours[edges++ % colours.length]}"];\n`);
    }
    return references;
  });
  io.out("}\n");
}
