/**
 * The file of a derivation in the store: a text object named `<name>.drv` that refers to all its inputs. Its outputs are no references,
 * since they need not exist.
 */
import { type ByteString, compareBytes } from "../byte-string.ts";
import { hashBytes } from "../hash.ts";
import { makeTextPath } from "../make-store-path.ts";
import type { StoreDir, StorePath } from "../store-path.ts";
import type { Derivation } from "./derivation.ts";
import { printDerivation } from "./print-derivation.ts";

export interface DerivationFile {
  readonly path: StorePath;
  readonly contents: ByteString;
  /** Ascending. */
  readonly references: readonly StorePath[];
}

/** @throws BadStorePath for a name that cannot be one */
export function derivationFile(dir: StoreDir, drv: Derivation): DerivationFile {
  const contents = printDerivation(dir, drv);
  const references = derivationReferences(drv);
  const path = makeTextPath(dir, `${drv.name}.drv`, hashBytes("sha256", contents), references);
  return { path, contents, references };
}

/** @throws BadStorePath for a name that cannot be one */
export function derivationStorePath(dir: StoreDir, drv: Derivation): StorePath {
  return derivationFile(dir, drv).path;
}

/** Sources and input derivations, ascending. */
export function derivationReferences(drv: Derivation): StorePath[] {
  return [...new Set([...drv.inputSrcs, ...drv.inputDrvs.keys()])].sort(compareBytes);
}
