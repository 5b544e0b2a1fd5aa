/** `silo why-depends`: the shortest chain of references from one path to another. */
import { UsageError } from "../../error.ts";
import { fromText } from "../../formats/byte-string.ts";
import { printStorePath, type StorePath } from "../../formats/store-path.ts";
import type { Store } from "../../store/store.ts";
import { commandApplet } from "../command-line.ts";
import { withStore } from "../open-store.ts";
import { followToStorePath } from "../path-argument.ts";
import { openSession } from "../session.ts";

export const whyDepends = commandApplet(
  {
    name: "silo why-depends",
    family: "silo",
    summary: "Show how one path comes to need another",
    usage: ["[--all] [--json] PATH DEPENDENCY"],
    examples: [
      {
        does: "Why is the compiler in the closure of my program?",
        command: "silo why-depends ./result /nix/store/…-gcc",
      },
    ],
    options: {
      all: { letter: "a", help: "Every path between the two, not only one chain" },
      json: { help: "Print the store paths as a list" },
    },
  },
  (line, io) =>
    withStore(openSession(line, io), (store) => {
      const [from, to, ...more] = line.operands;
      if (from === undefined || to === undefined || more.length > 0)
        throw new UsageError("'silo why-depends' needs two paths");
      const start = followToStorePath(store.storeDir, from);
      const goal = followToStorePath(store.storeDir, to);
      const path = line.has("all") ? between(store, start, goal) : shortestChain(store, start, goal);
      const show = (each: StorePath) => printStorePath(store.storeDir, each);
      if (line.has("json")) io.out(fromText(`${JSON.stringify((path ?? []).map(show), null, 2)}\n`));
      else if (path !== undefined)
        for (const [depth, each] of path.entries())
          io.out(fromText(`${line.has("all") ? "" : indent(depth)}${show(each)}\n`));
      if (path !== undefined) return 0;
      io.err(`'${show(start)}' does not depend on '${show(goal)}'`);
      return 1;
    }),
);

function indent(depth: number): string {
  return depth === 0 ? "" : `${"    ".repeat(depth - 1)}└───`;
}

/** Breadth first, over the infos of the whole closure, which come with one query. */
function shortestChain(store: Store, start: StorePath, goal: StorePath): StorePath[] | undefined {
  const infos = store.queryPathInfos(store.computeClosure([start]));
  const cameFrom = new Map<StorePath, StorePath | undefined>([[start, undefined]]);
  for (const path of cameFrom.keys()) {
    if (path === goal) return chainTo(path, cameFrom);
    for (const reference of infos.get(path)?.references ?? [])
      if (!cameFrom.has(reference)) cameFrom.set(reference, path);
  }
  return undefined;
}

function chainTo(goal: StorePath, cameFrom: ReadonlyMap<StorePath, StorePath | undefined>): StorePath[] {
  const chain: StorePath[] = [];
  for (let path: StorePath | undefined = goal; path !== undefined; path = cameFrom.get(path)) chain.unshift(path);
  return chain;
}

/** What `start` needs and what needs `goal`, a path after what it refers to. */
function between(store: Store, start: StorePath, goal: StorePath): StorePath[] | undefined {
  const below = new Set(store.computeClosure([start]));
  if (!below.has(goal)) return undefined;
  const above = store.computeClosure([goal], "referrers").filter((path) => below.has(path));
  return store.sortTopologically(above).reverse();
}
