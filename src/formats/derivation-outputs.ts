/**
 * Which outputs of which derivation: `<path>.drv!out,dev`, `<path>.drv!*`. The separator is `!` on the wire and in the older
 * commands, `^` in today's commands; both are read. A path without specifier is itself what is wanted, and the caller decides
 * whether a lone `.drv` means all its outputs (worker protocol before 1.30, nix-store -r) or the file. See the Nix manual,
 * "Deriving path". Outputs of outputs (`x.drv!a!b`, experimental) are refused.
 */
import { SiloError } from "../error.ts";
import { compareBytes } from "./byte-string.ts";
import {
  isDerivationPath,
  maxNameLength,
  parseFullStorePath,
  printStorePath,
  type StoreDir,
  type StorePath,
} from "./store-path.ts";

/** A set of names is never empty. */
export type WantedOutputs = { readonly kind: "all" } | { readonly kind: "names"; readonly names: ReadonlySet<string> };

export type DerivedPath =
  | { readonly kind: "opaque"; readonly path: StorePath }
  | { readonly kind: "built"; readonly drvPath: StorePath; readonly outputs: WantedOutputs };

export class BadOutputsSpecifier extends SiloError {
  readonly code = "bad-outputs-specifier";
  constructor(
    readonly input: string,
    readonly reason: string,
  ) {
    super(`Cannot parse outputs specifier ${JSON.stringify(input)}: ${reason}`);
  }
}

export const allOutputs: WantedOutputs = { kind: "all" };

/** A full store path, with or without specifier. @throws BadOutputsSpecifier, BadStorePath */
export function parseDerivedPath(dir: StoreDir, text: string): DerivedPath {
  const { path, outputs } = splitOutputsSpecifier(text);
  const storePath = parseFullStorePath(dir, path);
  if (outputs === undefined) return { kind: "opaque", path: storePath };
  if (!isDerivationPath(storePath))
    throw new BadOutputsSpecifier(text, "the path is not a derivation, so it has no outputs");
  return { kind: "built", drvPath: storePath, outputs };
}

/** With `!` for the wire and the database, with `^` for people. */
export function printDerivedPath(dir: StoreDir, derived: DerivedPath, separator: "!" | "^"): string {
  if (derived.kind === "opaque") return printStorePath(dir, derived.path);
  return printStorePath(dir, derived.drvPath) + separator + printWantedOutputs(derived.outputs);
}

/**
 * Takes the specifier off a path, which need not be in the store (a link to a derivation, say). `outputs` is undefined when there
 * is none; a separator in the middle of a path is none.
 * @throws BadOutputsSpecifier
 */
export function splitOutputsSpecifier(text: string): { path: string; outputs: WantedOutputs | undefined } {
  const at = Math.max(text.lastIndexOf("!"), text.lastIndexOf("^"));
  if (at < 0 || text.includes("/", at)) return { path: text, outputs: undefined };
  return { path: text.slice(0, at), outputs: parseWantedOutputs(text.slice(at + 1)) };
}

/** `*`, or names with commas between them. @throws BadOutputsSpecifier */
export function parseWantedOutputs(text: string): WantedOutputs {
  if (text === "*") return allOutputs;
  const names = text.split(",");
  for (const name of names) {
    if (!isOutputName(name))
      throw new BadOutputsSpecifier(text, `${JSON.stringify(name)} is not the name of an output`);
  }
  return { kind: "names", names: new Set(names) };
}

/** Names ascend. */
export function printWantedOutputs(outputs: WantedOutputs): string {
  return outputs.kind === "all" ? "*" : [...outputs.names].sort(compareBytes).join(",");
}

export function wantOutput(output: string, wanted: WantedOutputs): boolean {
  return wanted.kind === "all" || wanted.names.has(output);
}

/** Both wishes together. */
export function unionOutputs(a: WantedOutputs, b: WantedOutputs): WantedOutputs {
  if (a.kind === "all" || b.kind === "all") return allOutputs;
  return { kind: "names", names: new Set([...a.names, ...b.names]) };
}

/** May an output be called so? The characters of a store path name, since it becomes the end of one. */
export function isOutputName(text: string): boolean {
  return text.length <= maxNameLength && /^[0-9A-Za-z+\-._?=]+$/.test(text);
}
