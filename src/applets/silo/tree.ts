/** `silo tree`: what a path needs, as a tree. */
import { UsageError } from "../../error.ts";
import { commandApplet } from "../command-line.ts";
import { tree as printTree } from "../nix-store/query/tree.ts";
import { withStore } from "../open-store.ts";
import { openSession } from "../session.ts";

export const tree = commandApplet(
  {
    name: "silo tree",
    family: "silo",
    summary: "Show what paths need as a tree",
    usage: ["PATHS…"],
    examples: [
      { does: "What a program needs when it runs", command: "silo tree ./result" },
      { does: "What it takes to build it", command: "silo tree /nix/store/…-hello.drv" },
    ],
    options: {},
  },
  (line, io) =>
    withStore(openSession(line, io), (store) => {
      if (line.operands.length === 0) throw new UsageError("'silo tree' needs store paths");
      printTree({ store, io, operands: line.operands });
      return 0;
    }),
);
