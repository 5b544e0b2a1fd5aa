/** Writing what an evaluation made into a store: the sources and `.drv` files that something needs, as far as they are missing. */
import { SiloError } from "../error.ts";
import { encodeBytes } from "../formats/byte-string.ts";
import { derivationName } from "../formats/make-store-path.ts";
import { printStorePath, type StorePath } from "../formats/store-path.ts";
import { recursiveSha256 } from "../store/add.ts";
import type { Store } from "../store/store.ts";
import type { Evaluation, KnownSource } from "./evaluation.ts";

/** A tree that is not the one any more from which the derivations were made. */
export class SourceChanged extends SiloError {
  readonly code = "source-changed";
  constructor(readonly file: string) {
    super(`Cannot add '${file}' to the store: it changed while the recipe was evaluated; try again`);
  }
}

/** A store path that a recipe names, and that is not valid. */
export class SourceMissing extends SiloError {
  readonly code = "source-missing";
  constructor(readonly path: string) {
    super(`Cannot use '${path}': the recipe names it with storePath, but it is not in the store`);
  }
}

/**
 * Makes `roots`, derivations and sources of the evaluation, valid with all that they refer to, and safe from collection while this
 * process lives. When they are valid already, that is one question to the store.
 * @throws SourceChanged, SourceMissing, and what adding throws
 */
export function instantiate(store: Store, evaluation: Evaluation, roots: readonly StorePath[]): void {
  if (roots.length === 0) return;
  // Before asking what is valid: what is then, stays so, with all it refers to.
  store.addTempRoots(roots);
  const valid = store.queryValidPaths(roots);
  const missing = roots.filter((path) => !valid.has(path));
  if (missing.length === 0) return;
  const needed = inputsFirst(evaluation, missing);
  store.addTempRoots(needed);
  const present = store.queryValidPaths(needed);
  for (const path of needed) if (!present.has(path)) add(store, evaluation, path);
}

function add(store: Store, evaluation: Evaluation, path: StorePath): void {
  const known = evaluation.derivations.get(path);
  if (known !== undefined) {
    const { contents, references } = known.file;
    store.addText(`${derivationName(path)}.drv`, encodeBytes(contents), references);
  } else addSource(store, evaluation.sources.get(path)!);
}

function addSource(store: Store, { path, origin, references }: KnownSource): void {
  switch (origin.kind) {
    case "text":
      store.addText(origin.name, encodeBytes(origin.contents), references);
      break;
    case "tree": {
      const added = store.addPath(origin.file, { name: origin.name, method: recursiveSha256 }, origin.filter);
      if (added !== path) throw new SourceChanged(origin.file);
      break;
    }
    case "present":
      throw new SourceMissing(printStorePath(store.storeDir, path));
  }
}

/** All that `roots` refer to, directly or not, and they themselves, each behind what it refers to. */
function inputsFirst(evaluation: Evaluation, roots: readonly StorePath[]): StorePath[] {
  const order: StorePath[] = [];
  const seen = new Set<StorePath>();
  const stack: { readonly path: StorePath; readonly pending: Iterator<StorePath> }[] = [];
  const push = (path: StorePath) => {
    if (seen.has(path)) return;
    seen.add(path);
    const references =
      evaluation.derivations.get(path)?.file.references ?? evaluation.sources.get(path)?.references ?? [];
    stack.push({ path, pending: references[Symbol.iterator]() });
  };
  // The stack is ours: chains of derivations can be longer than the engine's stack is deep.
  for (const root of roots) {
    push(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.pending.next();
      if (next.done !== true) push(next.value);
      else {
        order.push(top.path);
        stack.pop();
      }
    }
  }
  return order;
}
