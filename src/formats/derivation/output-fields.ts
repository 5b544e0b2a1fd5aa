/**
 * The three fields that describe an output in a `.drv` file and on the wire:
 *
 *     path          hash algorithm              hash      kind
 *     store path    ""                          ""        input-addressed
 *     store path    [r:|text:]<algo>            base16    fixed
 *     ""            [r:|text:]<algo>            ""        floating
 *     ""            [r:|text:]<algo>            impure    impure
 *     ""            ""                          ""        deferred
 *
 * `text:` goes with sha256 only. As Nix does, the hash is also read in base32 and base64. As today's Nix does, the path of a fixed output is
 * refused when it is not the one that follows from the hash: Nix 2.8 ignores it, so a store may hold such a file.
 */
import { SiloError } from "../../error.ts";
import { type Hash, type HashAlgo, isHashAlgo, parseBareHash, printBareHash } from "../hash.ts";
import { parseFullStorePath, printStorePath, type StoreDir, type StorePath } from "../store-path.ts";
import { type DerivationOutput, IncorrectOutput, type OutputMethod } from "./derivation.ts";
import { fixedOutputPath } from "./fixed-output-path.ts";

export interface OutputFields {
  readonly path: string;
  readonly hashAlgo: string;
  readonly hash: string;
}

export class BadOutputFields extends SiloError {
  readonly code = "bad-output-fields";
  constructor(
    readonly fields: OutputFields,
    readonly reason: string,
  ) {
    super(`Cannot read derivation output ${JSON.stringify(fields)}: ${reason}`);
  }
}

/** Of the output `id` of the derivation `name`. @throws BadOutputFields, IncorrectOutput, BadStorePath, BadHash */
export function parseOutputFields(dir: StoreDir, name: string, id: string, fields: OutputFields): DerivationOutput {
  if (fields.hashAlgo === "") {
    if (fields.hash !== "") throw new BadOutputFields(fields, "there is a hash but no hash algorithm");
    if (fields.path === "") return { kind: "deferred" };
    return { kind: "input-addressed", path: parseFullStorePath(dir, fields.path) };
  }
  const parsed = parseMethodAlgo(fields.hashAlgo);
  if (parsed === undefined) throw new BadOutputFields(fields, "unknown hash algorithm");
  const { method, hashAlgo } = parsed;
  if (fields.hash !== "" && fields.hash !== "impure") {
    const stated = parseFullStorePath(dir, fields.path);
    return fixedOutput(dir, name, id, method, parseBareHash(fields.hash, hashAlgo), stated);
  }
  const kind = fields.hash === "" ? "floating" : "impure";
  if (fields.path !== "") throw new BadOutputFields(fields, `the path of a ${kind} output is not known beforehand`);
  return { kind, method, hashAlgo };
}

/** A fixed output with the path that follows from its hash. @throws IncorrectOutput when another is stated, BadStorePath */
export function fixedOutput(
  dir: StoreDir,
  name: string,
  id: string,
  method: OutputMethod,
  hash: Hash,
  stated?: StorePath,
): DerivationOutput {
  const path = fixedOutputPath(dir, name, id, method, hash);
  if (stated !== undefined && stated !== path)
    throw new IncorrectOutput(name, id, "output", printStorePath(dir, stated), printStorePath(dir, path));
  return { kind: "fixed", path, method, hash };
}

export function printOutputFields(dir: StoreDir, output: DerivationOutput): OutputFields {
  switch (output.kind) {
    case "input-addressed":
      return { path: printStorePath(dir, output.path), hashAlgo: "", hash: "" };
    case "fixed":
      return {
        path: printStorePath(dir, output.path),
        hashAlgo: printMethodAlgo(output.method, output.hash.algo),
        hash: printBareHash(output.hash, "base16"),
      };
    case "floating":
      return { path: "", hashAlgo: printMethodAlgo(output.method, output.hashAlgo), hash: "" };
    case "impure":
      return { path: "", hashAlgo: printMethodAlgo(output.method, output.hashAlgo), hash: "impure" };
    case "deferred":
      return { path: "", hashAlgo: "", hash: "" };
  }
}

/** `sha256`, `r:sha256` or `text:sha256`; undefined for anything else. */
export function parseMethodAlgo(text: string): { method: OutputMethod; hashAlgo: HashAlgo } | undefined {
  const method = text.startsWith("r:") ? "recursive" : text.startsWith("text:") ? "text" : "flat";
  const hashAlgo = text.slice(methodPrefix[method].length);
  return isHashAlgo(hashAlgo) && isMethodAlgo(method, hashAlgo) ? { method, hashAlgo } : undefined;
}

export function printMethodAlgo(method: OutputMethod, hashAlgo: HashAlgo): string {
  return methodPrefix[method] + hashAlgo;
}

/** Text is hashed with sha256 only. */
export function isMethodAlgo(method: OutputMethod, hashAlgo: HashAlgo): boolean {
  return method !== "text" || hashAlgo === "sha256";
}

const methodPrefix: Readonly<Record<OutputMethod, string>> = { flat: "", recursive: "r:", text: "text:" };
