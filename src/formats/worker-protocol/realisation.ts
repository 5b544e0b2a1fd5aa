/**
 * Realisations: which path an output of a derivation has become. Until Nix 2.34 the derivation is known by its hash, and the whole is JSON:
 *
 *     {"dependentRealisations":{},"id":"sha256:<base16>!<output>","outPath":"<base name>","signatures":[]}
 *
 * Compact, keys ascending. The feature `realisation-with-path-not-hash` names the derivation's path instead.
 */
import { SiloError } from "../../error.ts";
import { type ByteString, fromText, toText } from "../byte-string.ts";
import { isOutputName } from "../derivation-outputs.ts";
import { parseStorePath, type StorePath } from "../store-path.ts";

/** A derivation, by the hash that its floating outputs have, and one of its outputs. */
export interface DrvOutput {
  /** `sha256:<base16>` */
  readonly drvHash: string;
  readonly output: string;
}

export interface Realisation {
  readonly id: DrvOutput;
  readonly path: StorePath;
  readonly signatures: readonly string[];
  /** By the text of the id. */
  readonly dependencies: ReadonlyMap<string, StorePath>;
}

export class BadRealisation extends SiloError {
  readonly code = "bad-realisation";
  constructor(
    readonly input: string,
    readonly reason: string,
  ) {
    const shown = input.length > 200 ? `${input.slice(0, 200)}…` : input;
    super(`Cannot parse realisation ${JSON.stringify(shown)}: ${reason}`);
  }
}

/** @throws BadRealisation */
export function parseDrvOutput(text: string): DrvOutput {
  const [, drvHash, output] = /^(sha256:[0-9a-f]{64})!(.+)$/s.exec(text) ?? [];
  if (drvHash === undefined || output === undefined || !isOutputName(output))
    throw new BadRealisation(text, `expected "sha256:<64 base-16 digits>!<output>"`);
  return { drvHash, output };
}

export function printDrvOutput({ drvHash, output }: DrvOutput): string {
  return `${drvHash}!${output}`;
}

/** @throws BadRealisation, BadStorePath */
export function parseRealisation(text: ByteString): Realisation {
  let value: unknown;
  try {
    value = JSON.parse(toText(text));
  } catch {
    throw new BadRealisation(text, "it is not JSON");
  }
  if (!isObject(value)) throw new BadRealisation(text, "it is not an object");
  const { id, outPath, signatures = [], dependentRealisations = {} } = value;
  if (typeof id !== "string" || typeof outPath !== "string")
    throw new BadRealisation(text, `"id" and "outPath" must be strings`);
  if (!Array.isArray(signatures) || !signatures.every((each) => typeof each === "string"))
    throw new BadRealisation(text, `"signatures" must be a list of strings`);
  if (!isObject(dependentRealisations)) throw new BadRealisation(text, `"dependentRealisations" must be an object`);
  const dependencies = new Map<string, StorePath>();
  for (const [key, path] of Object.entries(dependentRealisations)) {
    if (typeof path !== "string") throw new BadRealisation(text, "a dependent realisation must be a string");
    dependencies.set(printDrvOutput(parseDrvOutput(key)), parseStorePath(path));
  }
  return { id: parseDrvOutput(id), path: parseStorePath(outPath), signatures, dependencies };
}

export function printRealisation({ id, path, signatures, dependencies }: Realisation): ByteString {
  const dependentRealisations = Object.fromEntries([...dependencies].sort(([a], [b]) => (a < b ? -1 : 1)));
  return fromText(JSON.stringify({ dependentRealisations, id: printDrvOutput(id), outPath: path, signatures }));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
