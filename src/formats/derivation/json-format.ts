/**
 * Derivations as JSON, as `nix show-derivation` and `nix derivation show` print them, named after the Nix that began it:
 *
 *     nix-2.8     keys in the order outputs, inputSrcs, inputDrvs, system, builder, args, env; inputDrvs {path: [output]};
 *                 an output has path, hashAlgo `[r:]<algo>` and hash in base16, as far as its kind has them
 *     nix-2.18    keys ascend; name; inputDrvs {path: {outputs, dynamicOutputs}}
 *     nix-2.23    an output has method (flat, nar, text) and hashAlgo (bare)
 *     nix-2.31    structuredAttrs in the place of env's `__json`
 *     version-3   (2.32) paths are base names; fixed outputs have no path; version
 *     version-4   (2.33) inputs {drvs, srcs}; the hash of a fixed output is SRI and names the algorithm; a map of derivations is
 *                 {version, derivations}
 *
 * See the Nix manual, "Derivation JSON format".
 */
import { type ByteString, compareBytes } from "../byte-string.ts";
import { printStorePath, type StoreDir, type StorePath } from "../store-path.ts";
import type { OutputMethod } from "./derivation.ts";
import { isJsonArray, isJsonObject, type Json, type JsonObject } from "./json-value.ts";

/** Oldest first. */
export const derivationJsonFormats = ["nix-2.8", "nix-2.18", "nix-2.23", "nix-2.31", "version-3", "version-4"] as const;
export type DerivationJsonFormat = (typeof derivationJsonFormats)[number];

export function isAtLeast(format: DerivationJsonFormat, since: DerivationJsonFormat): boolean {
  return derivationJsonFormats.indexOf(format) >= derivationJsonFormats.indexOf(since);
}

export const jsonMethodNames: Readonly<Record<OutputMethod, string>> = { flat: "flat", recursive: "nar", text: "text" };

/** The environment variable that holds structured attributes, as JSON. */
export const structuredAttrsVariable = "__json" as ByteString;

export type JsonMember = readonly [key: string, value: Json];

/** An object whose keys ascend bytewise. */
export function sortedObject(members: Iterable<JsonMember>): JsonObject {
  const sorted = [...members].sort((a, b) => compareBytes(a[0], b[0]));
  return new Map(sorted as [ByteString, Json][]);
}

/** An object of fixed keys, in the order given where the format keeps it. */
export function recordObject(format: DerivationJsonFormat, members: readonly JsonMember[]): JsonObject {
  return format === "nix-2.8" ? new Map(members as [ByteString, Json][]) : sortedObject(members);
}

export function printJsonPath(dir: StoreDir, path: StorePath, format: DerivationJsonFormat): ByteString {
  return (isAtLeast(format, "version-3") ? path : printStorePath(dir, path)) as ByteString;
}

/** With the keys of all objects in it ascending, as today's Nix prints them. */
export function sortKeys(value: Json): Json {
  if (isJsonObject(value))
    return sortedObject(Array.from(value, ([key, member]): JsonMember => [key, sortKeys(member)]));
  return isJsonArray(value) ? value.map(sortKeys) : value;
}
