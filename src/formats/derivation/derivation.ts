/**
 * Derivations: what to run, with what, to make which outputs. Strings are byte strings (see byte-string.ts), paths are base names; the
 * store directory comes in where one is printed or parsed. Maps and sets may have any order: what is printed is sorted.
 */
import { SiloError } from "../../error.ts";
import type { ByteString } from "../byte-string.ts";
import type { Hash, HashAlgo } from "../hash.ts";
import type { StorePath } from "../store-path.ts";

export interface BasicDerivation {
  /** The name part of the `.drv` file, without `.drv`. */
  readonly name: string;
  /** By output name, such as `out`. */
  readonly outputs: ReadonlyMap<string, DerivationOutput>;
  readonly inputSrcs: ReadonlySet<StorePath>;
  readonly system: ByteString;
  /** A path as a rule, but also `builtin:fetchurl`. */
  readonly builder: ByteString;
  /** Without argv[0]. */
  readonly args: readonly ByteString[];
  readonly env: ReadonlyMap<ByteString, ByteString>;
}

export interface Derivation extends BasicDerivation {
  /** Which outputs of which other derivations are needed; never an empty set. */
  readonly inputDrvs: ReadonlyMap<StorePath, ReadonlySet<string>>;
}

/** What of an output is hashed: the contents of a file, the NAR of a tree, or (experimental, today's Nix) a text with references. */
export type OutputMethod = "flat" | "recursive" | "text";

export type DerivationOutput =
  | { readonly kind: "input-addressed"; readonly path: StorePath }
  /** Whoever reads one checks that the path is the one that follows from the hash (fixed-output-path.ts). */
  | { readonly kind: "fixed"; readonly path: StorePath; readonly method: OutputMethod; readonly hash: Hash }
  /** Content-addressed, with a hash that only the build tells. */
  | { readonly kind: "floating"; readonly method: OutputMethod; readonly hashAlgo: HashAlgo }
  /** Input-addressed, but an input's path is not known yet. */
  | { readonly kind: "deferred" }
  | { readonly kind: "impure"; readonly method: OutputMethod; readonly hashAlgo: HashAlgo };

/** All outputs of a derivation are of one kind. */
export type DerivationKind = DerivationOutput["kind"];

/** A derivation that cannot be read, or contradicts itself. */
export class BadDerivation extends SiloError {
  readonly code = "bad-derivation";
  constructor(
    readonly derivation: string,
    /** Offset in the text, where there is one. */
    readonly position: number | undefined,
    readonly reason: string,
    options?: { readonly cause: unknown },
  ) {
    const where = position === undefined ? "" : `at byte ${position}: `;
    super(`Cannot read derivation ${JSON.stringify(derivation)}: ${where}${reason}`, options);
  }
}

/** An output or the variable of its name is not the path that follows from the derivation. */
export class IncorrectOutput extends SiloError {
  readonly code = "incorrect-output";
  constructor(
    /** The full path of the `.drv` file, or the name of a derivation that has none yet. */
    readonly derivation: string,
    readonly output: string,
    readonly where: "output" | "environment variable",
    readonly stated: string | undefined,
    readonly expected: string,
  ) {
    const subject = where === "output" ? `output '${stated}'` : `environment variable '${output}'`;
    super(`derivation '${derivation}' has incorrect ${subject}, should be '${expected}'`);
  }
}

/** @throws BadDerivation without outputs, or with a mixture that Nix does not know */
export function derivationKind(drv: BasicDerivation): DerivationKind {
  let kind: DerivationKind | undefined;
  let hashAlgo: HashAlgo | undefined;
  for (const [id, output] of drv.outputs) {
    if (kind !== undefined && output.kind !== kind)
      throw new BadDerivation(
        drv.name,
        undefined,
        `outputs are both ${kind} and ${output.kind}, which cannot be mixed`,
      );
    kind = output.kind;
    if (output.kind === "fixed" && (id !== "out" || drv.outputs.size !== 1))
      throw new BadDerivation(drv.name, undefined, `a fixed output must be the only one and be named "out"`);
    if (output.kind === "floating") {
      if (hashAlgo !== undefined && hashAlgo !== output.hashAlgo)
        throw new BadDerivation(drv.name, undefined, "all floating outputs must use the same hash algorithm");
      hashAlgo = output.hashAlgo;
    }
  }
  if (kind === undefined) throw new BadDerivation(drv.name, undefined, "must have at least one output");
  return kind;
}

/** Is the hash of what it makes known beforehand? */
export function isFixedOutput(drv: BasicDerivation): boolean {
  return drv.outputs.size === 1 && drv.outputs.get("out")?.kind === "fixed";
}

/** May a system be called so? Nix since 2.0 writes it without escapes, Nix 1.7 with: one that needs them has two spellings. */
export function isSystem(text: string): boolean {
  return !/["\\\n\r\t]/.test(text);
}

/** Runs inside the builder process instead of an executable. */
export function isBuiltin(drv: BasicDerivation): boolean {
  return drv.builder.startsWith("builtin:");
}

/** The path that an output is known to have before it is built. */
export function knownOutputPath(output: DerivationOutput): StorePath | undefined {
  return output.kind === "input-addressed" || output.kind === "fixed" ? output.path : undefined;
}
