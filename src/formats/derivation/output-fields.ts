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
 * As Nix does, the hash is also read in base32 and base64.
 */
import { SiloError } from "../../error.ts";
import { type HashAlgo, isHashAlgo, parseBareHash, printBareHash } from "../hash.ts";
import { parseFullStorePath, printStorePath, type StoreDir } from "../store-path.ts";
import type { DerivationOutput, OutputMethod } from "./derivation.ts";

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

/** @throws BadOutputFields, BadStorePath, BadHash */
export function parseOutputFields(dir: StoreDir, fields: OutputFields): DerivationOutput {
  if (fields.hashAlgo === "") {
    if (fields.hash !== "") throw new BadOutputFields(fields, "there is a hash but no hash algorithm");
    if (fields.path === "") return { kind: "deferred" };
    return { kind: "input-addressed", path: parseFullStorePath(dir, fields.path) };
  }
  const parsed = parseMethodAlgo(fields.hashAlgo);
  if (parsed === undefined) throw new BadOutputFields(fields, "unknown hash algorithm");
  const { method, hashAlgo } = parsed;
  if (fields.hash !== "" && fields.hash !== "impure") {
    const path = parseFullStorePath(dir, fields.path);
    return { kind: "fixed", path, method, hash: parseBareHash(fields.hash, hashAlgo) };
  }
  const kind = fields.hash === "" ? "floating" : "impure";
  if (fields.path !== "") throw new BadOutputFields(fields, `the path of a ${kind} output is not known beforehand`);
  return { kind, method, hashAlgo };
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
  return isHashAlgo(hashAlgo) ? { method, hashAlgo } : undefined;
}

export function printMethodAlgo(method: OutputMethod, hashAlgo: HashAlgo): string {
  return methodPrefix[method] + hashAlgo;
}

const methodPrefix: Readonly<Record<OutputMethod, string>> = { flat: "", recursive: "r:", text: "text:" };
