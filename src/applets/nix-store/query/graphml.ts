/** `--graphml`: references in the GraphML file format. Edges go from a path to what it needs. */
import { isDerivationPath, nameOf } from "../../../formats/store-path.ts";
import type { PathInfo } from "../../../store/path-info.ts";
import type { QueryContext } from "./query.ts";
import { loadGraph, visitSmallestFirst } from "./reference-graph.ts";
import { allTargets } from "./targets.ts";

const head = `<?xml version='1.0' encoding='utf-8'?>
<graphml xmlns='http://graphml.graphdrawing.org/xmlns'
    xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'
    xsi:schemaLocation='http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd'>
<key id='narSize' for='node' attr.name='narSize' attr.type='int'/>\
<key id='name' for='node' attr.name='name' attr.type='string'/>\
<key id='type' for='node' attr.name='type' attr.type='string'/>\
<graph id='G' edgedefault='directed'>
`;

export async function graphml(context: QueryContext): Promise<void> {
  const { io, store } = context;
  const starts = await allTargets(context);
  const infoOf = loadGraph(store, starts);
  io.out(head);
  visitSmallestFirst(starts, (path) => {
    const info = infoOf(path);
    io.out(printNode(info));
    const references = info.references.filter((reference) => reference !== path);
    for (const reference of references) io.out(`  <edge source="${path}" target="${reference}"/>\n`);
    return references;
  });
  io.out("</graph>\n</graphml>\n");
}

function printNode({ path, narSize }: PathInfo): string {
  const name = nameOf(path);
  return (
    `  <node id="${path}">\n` +
    `    <data key="narSize">${narSize ?? 0}</data>\n` +
    // A slip of Nix that scripts may know: the name up to its first dash, so often nothing.
    `    <data key="name">${name.slice(0, name.indexOf("-") + 1)}</data>\n` +
    `    <data key="type">${isDerivationPath(path) ? "derivation" : "output-path"}</data>\n` +
    "  </node>\n"
  );
}
