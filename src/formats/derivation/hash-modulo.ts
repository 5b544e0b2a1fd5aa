/**
 * The hash of a derivation modulo its fixed-output inputs: how something is fetched must not change the paths of what is built from it.
 * Two hashes of one derivation:
 *
 * - as an input: for a fixed output sha256 of `fixed:out:<method and algorithm>:<hash in base16>:<path>`, else sha256 of its text in which
 *   each input's path is replaced by that input's hash in base16. Inputs with the same hash become one with both their outputs.
 * - masked: the same of a text whose own output paths, and the variables named after outputs, are empty. Output paths follow from it.
 *
 * Where a path is not known before the build (floating, impure and deferred outputs, and all that need them), the hash is marked deferred:
 * it identifies the derivation (Nix 2.4 to 2.34 name realisations by it), but no path follows from it. See the Nix manual, "Derivation".
 */
import { type Hash, hashBytes, printBareHash } from "../hash.ts";
import { printStorePath, type StoreDir, type StorePath } from "../store-path.ts";
import { BadDerivation, type Derivation, derivationKind } from "./derivation.ts";
import { printMethodAlgo } from "./output-fields.ts";
import { type PrintedInput, printWithInputs } from "./print-derivation.ts";

export interface ModuloHash {
  readonly kind: "regular" | "deferred";
  /** sha256 */
  readonly hash: Hash;
}

/** A hash as an input, with what a dependent derivation needs to know of it. */
export interface InputHash extends ModuloHash {
  readonly base16: string;
  readonly outputs: ReadonlySet<string>;
}

export interface ModuloContext {
  readonly dir: StoreDir;
  /** Called at most once for a path that is not in the memo, and not for the inputs of fixed-output derivations. */
  readonly readDerivation: (drvPath: StorePath) => Derivation;
  /** Hashes as inputs, kept between calls. Delete a path's entry when the path is deleted from the store. */
  readonly memo: Map<StorePath, InputHash>;
}

export function createModuloContext(dir: StoreDir, readDerivation: (drvPath: StorePath) => Derivation): ModuloContext {
  return { dir, readDerivation, memo: new Map() };
}

/** The masked hash, from which the output paths of `drv` follow. @throws BadDerivation, and what reading an input throws */
export function hashMasked(context: ModuloContext, drv: Derivation): ModuloHash {
  const kind = derivationKind(drv);
  if (kind === "fixed" || kind === "impure") return hashAsInput(context, drv);
  hashInputs(context, drv);
  const { inputs, deferred } = replacedInputs(context, drv);
  const hash = hashBytes("sha256", printWithInputs(context.dir, drv, inputs, "outputs-masked"));
  // An output that is deferred only because nobody has computed its path yet gets it from this very hash.
  return { kind: deferred || kind === "floating" ? "deferred" : "regular", hash };
}

/** The hash of the derivation in the file `drvPath` as an input of others. @throws BadDerivation, and what reading throws */
export function hashInput(context: ModuloContext, drvPath: StorePath): InputHash {
  const known = context.memo.get(drvPath);
  if (known !== undefined) return known;
  hashAll(context, [drvPath]);
  return context.memo.get(drvPath)!;
}

function hashInputs(context: ModuloContext, drv: Derivation): void {
  hashAll(context, drv.inputDrvs.keys());
}

interface Frame {
  readonly path: StorePath;
  readonly drv: Derivation;
  /** Inputs not looked at yet. */
  readonly pending: Iterator<StorePath>;
}

/** Puts the hashes of all `roots` into the memo, inputs first. The stack is ours: graphs are deeper than the engine's. */
function hashAll(context: ModuloContext, roots: Iterable<StorePath>): void {
  const stack: Frame[] = [];
  const onStack = new Set<StorePath>();

  function push(path: StorePath, from: string): void {
    // Honest files cannot form a cycle, since a path follows from the contents, but a damaged store can hold one.
    if (onStack.has(path))
      throw new BadDerivation(from, undefined, `depends on itself through ${JSON.stringify(path)}`);
    const drv = context.readDerivation(path);
    const pending = derivationKind(drv) === "fixed" ? [] : drv.inputDrvs.keys();
    stack.push({ path, drv, pending: pending[Symbol.iterator]() });
    onStack.add(path);
  }

  for (const root of roots) {
    if (!context.memo.has(root)) push(root, root);
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const next = frame.pending.next();
      if (next.done !== true) {
        if (!context.memo.has(next.value)) push(next.value, frame.drv.name);
        continue;
      }
      context.memo.set(frame.path, hashAsInput(context, frame.drv));
      onStack.delete(frame.path);
      stack.pop();
    }
  }
}

const impureHash = () => hashBytes("sha256", "impure");

/** With the hashes of all inputs in the memo. */
function hashAsInput(context: ModuloContext, drv: Derivation): InputHash {
  const outputs: ReadonlySet<string> = new Set(drv.outputs.keys());
  const kind = derivationKind(drv);
  if (kind === "impure") return inputHash("deferred", impureHash(), outputs);
  const fixed = drv.outputs.get("out");
  if (fixed?.kind === "fixed") {
    const algo = printMethodAlgo(fixed.method, fixed.hash.algo);
    const path = printStorePath(context.dir, fixed.path);
    const text = `fixed:out:${algo}:${printBareHash(fixed.hash, "base16")}:${path}`;
    return inputHash("regular", hashBytes("sha256", text), outputs);
  }
  const { inputs, deferred } = replacedInputs(context, drv);
  const hash = hashBytes("sha256", printWithInputs(context.dir, drv, inputs, "outputs-shown"));
  return inputHash(deferred || kind !== "input-addressed" ? "deferred" : "regular", hash, outputs);
}

function inputHash(kind: ModuloHash["kind"], hash: Hash, outputs: ReadonlySet<string>): InputHash {
  return { kind, hash, base16: printBareHash(hash, "base16"), outputs };
}

function replacedInputs(context: ModuloContext, drv: Derivation): { inputs: PrintedInput[]; deferred: boolean } {
  const byHash = new Map<string, ReadonlySet<string>>();
  let deferred = false;
  for (const [path, wanted] of drv.inputDrvs) {
    const input = context.memo.get(path)!;
    if (input.kind === "deferred") deferred = true;
    for (const output of wanted) {
      if (!input.outputs.has(output))
        throw new BadDerivation(
          drv.name,
          undefined,
          `needs output ${JSON.stringify(output)} of ${JSON.stringify(path)}, which it does not have`,
        );
    }
    const twin = byHash.get(input.base16);
    byHash.set(input.base16, twin === undefined ? wanted : new Set([...twin, ...wanted]));
  }
  return { inputs: [...byHash], deferred };
}
