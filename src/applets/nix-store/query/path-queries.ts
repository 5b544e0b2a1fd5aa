/** Queries that answer for each operand by itself. */
import { SiloError } from "../../../error.ts";
import { printHash } from "../../../formats/hash.ts";
import { printStorePath, type StorePath } from "../../../formats/store-path.ts";
import type { PathInfo } from "../../../store/path-info.ts";
import { followToStorePath } from "../../path-argument.ts";
import { derivationOf, deriverOf } from "../derivation-of.ts";
import { ensureValid } from "../ensure-valid.ts";
import { printPaths } from "../print-paths.ts";
import type { QueryContext } from "./query.ts";
import { chosenTargets, targetsOf } from "./targets.ts";

/** A derivation does not have the variable that `--binding` asks for. */
export class NoBinding extends SiloError {
  readonly code = "no-binding";
}

export async function outputs(context: QueryContext): Promise<void> {
  for await (const paths of chosenTargets(context, "outputs")) printPaths(context.io, context.store.storeDir, paths);
}

export function resolve(context: QueryContext): void {
  printPaths(context.io, context.store.storeDir, followed(context));
}

export function deriver(context: QueryContext): void {
  const { store, io } = context;
  for (const path of followed(context)) {
    const known = store.requirePathInfo(path).deriver;
    io.out(known === undefined ? "unknown-deriver\n" : `${printStorePath(store.storeDir, known)}\n`);
  }
}

export function validDerivers(context: QueryContext): void {
  const { store, io } = context;
  const derivers = new Set<StorePath>();
  for (const path of followed(context)) for (const each of store.queryValidDerivers(path)) derivers.add(each);
  printPaths(io, store.storeDir, store.sortTopologically(derivers));
}

export async function binding(context: QueryContext): Promise<void> {
  const { store, io, operation, binding: name } = context;
  for (const path of followed(context)) {
    const drvPath = deriverOf(store, path);
    await ensureValid(operation.session, store, drvPath);
    const value = derivationOf(store, drvPath).env.get(name);
    if (value === undefined) {
      const shown = printStorePath(store.storeDir, drvPath);
      throw new NoBinding(`derivation '${shown}' has no environment binding named '${name}'`);
    }
    io.out(`${value}\n`);
  }
}

export async function hash(context: QueryContext): Promise<void> {
  await printInfos(context, ({ narHash }) => printHash(narHash, "base32"));
}

export async function size(context: QueryContext): Promise<void> {
  await printInfos(context, ({ narSize }) => String(narSize ?? 0));
}

async function printInfos(context: QueryContext, print: (info: PathInfo) => string): Promise<void> {
  const { store, io } = context;
  for await (const paths of targetsOf(context)) {
    for (const path of paths) io.out(`${print(store.requirePathInfo(path))}\n`);
  }
}

function* followed({ store, operands }: QueryContext): Generator<StorePath> {
  for (const operand of operands) yield followToStorePath(store.storeDir, operand);
}
