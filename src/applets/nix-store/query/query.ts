/** `nix-store --query`: one query a call, `--outputs` unless another is asked for. */
import { UsageError } from "../../../error.ts";
import type { ByteString } from "../../../formats/byte-string.ts";
import type { Store } from "../../../store/store.ts";
import type { Io } from "../../io.ts";
import { withStore } from "../../open-store.ts";
import { tellFailure } from "../ensure-valid.ts";
import type { OperationContext } from "../operation.ts";

export interface QueryContext {
  readonly store: Store;
  readonly io: Io;
  readonly operation: OperationContext;
  /** Without the name that `--binding` takes from their front. */
  readonly operands: readonly ByteString[];
  /** The variable that `--binding` names. */
  readonly binding: ByteString;
}

export type RunQuery = (context: QueryContext) => void | Promise<void>;

/** By the name of the option that asks for it. */
const queries: Readonly<Record<string, () => Promise<RunQuery>>> = {
  outputs: async () => (await import("./path-queries.ts")).outputs,
  requisites: async () => (await import("./closure-queries.ts")).requisites,
  references: async () => (await import("./closure-queries.ts")).references,
  referrers: async () => (await import("./closure-queries.ts")).referrers,
  "referrers-closure": async () => (await import("./closure-queries.ts")).referrersClosure,
  deriver: async () => (await import("./path-queries.ts")).deriver,
  "valid-derivers": async () => (await import("./path-queries.ts")).validDerivers,
  binding: async () => (await import("./path-queries.ts")).binding,
  hash: async () => (await import("./path-queries.ts")).hash,
  size: async () => (await import("./path-queries.ts")).size,
  tree: async () => (await import("./tree.ts")).tree,
  graph: async () => (await import("./dot-graph.ts")).dotGraph,
  graphml: async () => (await import("./graphml.ts")).graphml,
  roots: async () => (await import("./roots.ts")).roots,
  resolve: async () => (await import("./path-queries.ts")).resolve,
};

export async function query(operation: OperationContext): Promise<number> {
  const { line, session } = operation;
  const [name = "outputs", other] = [...line.given.keys()].filter((each) => Object.hasOwn(queries, each));
  if (other !== undefined) throw new UsageError(`query type '--${other}' conflicts with earlier flag`);
  const operands = [...operation.operands];
  const binding = name === "binding" ? operands.shift() : ("" as ByteString);
  if (binding === undefined) throw new UsageError("expected binding name");
  const run = await queries[name]!();
  return withStore(session, async (store) => {
    const context: QueryContext = { store, io: session.io, operation, operands, binding };
    return tellFailure(session, async () => run(context));
  });
}
