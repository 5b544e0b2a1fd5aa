/** Prints derivations as JSON, in any of the formats of json-format.ts. */
import { type ByteString, compareBytes, encodeBytes } from "../byte-string.ts";
import { type HashAlgo, printBareHash, printSri } from "../hash.ts";
import type { StoreDir, StorePath } from "../store-path.ts";
import { BadDerivation, type Derivation, type DerivationOutput, type OutputMethod } from "./derivation.ts";
import {
  type DerivationJsonFormat,
  isAtLeast,
  type JsonMember,
  jsonMethodNames,
  printJsonPath,
  recordObject,
  sortedObject,
  sortKeys,
  structuredAttrsVariable,
} from "./json-format.ts";
import {
  BadJson,
  isJsonObject,
  type Json,
  type JsonObject,
  type JsonStyle,
  parseJson,
  printJson,
} from "./json-value.ts";
import { printMethodAlgo } from "./output-fields.ts";

/**
 * One derivation, without a newline at the end.
 * @throws BadDerivation when the format cannot say it: today's formats need UTF-8 and structured attributes that are a JSON object
 */
export function printDerivationJson(
  dir: StoreDir,
  drv: Derivation,
  format: DerivationJsonFormat,
  layout: JsonStyle["layout"] = "pretty",
): ByteString {
  return printJson(derivationToJson(dir, drv, format), { layout, escapes: escapesOf(format) });
}

/** Derivations by path, as `nix derivation show` prints them, without a newline at the end. @throws as {@link printDerivationJson} */
export function printDerivationsJson(
  dir: StoreDir,
  derivations: ReadonlyMap<StorePath, Derivation>,
  format: DerivationJsonFormat,
  layout: JsonStyle["layout"] = "pretty",
): ByteString {
  const members = Array.from(derivations, ([path, drv]): JsonMember => {
    return [printJsonPath(dir, path, format), derivationToJson(dir, drv, format)];
  });
  const byPath = sortedObject(members);
  const wrapped: JsonMember[] = [
    ["derivations", byPath],
    ["version", { digits: "4" }],
  ];
  return printJson(format === "version-4" ? sortedObject(wrapped) : byPath, { layout, escapes: escapesOf(format) });
}

/** @throws as {@link printDerivationJson} */
export function derivationToJson(dir: StoreDir, drv: Derivation, format: DerivationJsonFormat): JsonObject {
  if (format !== "nix-2.8") checkUtf8(drv);
  const attributes = isAtLeast(format, "nix-2.31") ? parseStructuredAttrs(drv) : undefined;
  const outputs = sortedObject(
    Array.from(drv.outputs, ([id, output]): JsonMember => [id, outputToJson(dir, output, format)]),
  );
  const members: JsonMember[] = [
    ["outputs", outputs],
    ...inputMembers(dir, drv, format),
    ["system", drv.system],
    ["builder", drv.builder],
    ["args", drv.args],
    ["env", sortedObject([...drv.env].filter(([key]) => attributes === undefined || key !== structuredAttrsVariable))],
  ];
  if (format !== "nix-2.8") members.push(["name", drv.name as ByteString]);
  if (attributes !== undefined) members.push(["structuredAttrs", attributes]);
  if (isAtLeast(format, "version-3")) members.push(["version", { digits: format === "version-3" ? "3" : "4" }]);
  return recordObject(format, members);
}

function inputMembers(dir: StoreDir, drv: Derivation, format: DerivationJsonFormat): JsonMember[] {
  const srcs: Json = [...drv.inputSrcs].sort(compareBytes).map((path) => printJsonPath(dir, path, format));
  const drvs = sortedObject(
    Array.from(drv.inputDrvs, ([path, wanted]): JsonMember => {
      const outputs = [...wanted].sort(compareBytes) as ByteString[];
      const node = sortedObject([
        ["outputs", outputs],
        ["dynamicOutputs", new Map()],
      ]);
      return [printJsonPath(dir, path, format), format === "nix-2.8" ? outputs : node];
    }),
  );
  if (format !== "version-4") {
    return [
      ["inputSrcs", srcs],
      ["inputDrvs", drvs],
    ];
  }
  const inputs = sortedObject([
    ["drvs", drvs],
    ["srcs", srcs],
  ]);
  return [["inputs", inputs]];
}

function outputToJson(dir: StoreDir, output: DerivationOutput, format: DerivationJsonFormat): JsonObject {
  switch (output.kind) {
    case "input-addressed":
      return recordObject(format, [["path", printJsonPath(dir, output.path, format)]]);
    case "fixed": {
      const { method, hash } = output;
      if (format === "version-4") {
        return recordObject(format, [
          ["method", jsonMethodNames[method] as ByteString],
          ["hash", printSri(hash) as ByteString],
        ]);
      }
      const path: JsonMember[] = format === "version-3" ? [] : [["path", printJsonPath(dir, output.path, format)]];
      const digest: JsonMember = ["hash", printBareHash(hash, "base16") as ByteString];
      return recordObject(format, [...path, ...methodMembers(method, hash.algo, format), digest]);
    }
    case "floating":
      return recordObject(format, methodMembers(output.method, output.hashAlgo, format));
    case "impure":
      return recordObject(format, [...methodMembers(output.method, output.hashAlgo, format), ["impure", true]]);
    case "deferred":
      return new Map();
  }
}

function methodMembers(method: OutputMethod, hashAlgo: HashAlgo, format: DerivationJsonFormat): JsonMember[] {
  if (!isAtLeast(format, "nix-2.23")) return [["hashAlgo", printMethodAlgo(method, hashAlgo) as ByteString]];
  return [
    ["method", jsonMethodNames[method] as ByteString],
    ["hashAlgo", hashAlgo as string as ByteString],
  ];
}

function parseStructuredAttrs(drv: Derivation): JsonObject | undefined {
  const text = drv.env.get(structuredAttrsVariable);
  if (text === undefined) return undefined;
  try {
    const value = parseJson(text);
    if (isJsonObject(value)) return sortKeys(value) as JsonObject;
  } catch (error) {
    if (!(error instanceof BadJson)) throw error;
    throw new BadDerivation(drv.name, undefined, `structured attributes (__json): ${error.message}`, { cause: error });
  }
  throw new BadDerivation(drv.name, undefined, "structured attributes (__json) are not a JSON object");
}

/** Nix 2.8 puts bytes that are not UTF-8 into its JSON; today's Nix refuses them, for the result would not be JSON. */
function checkUtf8(drv: Derivation): void {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const check = (what: string, text: string) => {
    if (!/[^\x00-\x7f]/.test(text)) return;
    try {
      decoder.decode(encodeBytes(text));
    } catch (error) {
      throw new BadDerivation(drv.name, undefined, `${what} is not UTF-8, so it cannot be printed as JSON`, {
        cause: error,
      });
    }
  };
  check("the system", drv.system);
  check("the builder", drv.builder);
  drv.args.forEach((arg, i) => void check(`argument ${i + 1}`, arg));
  for (const [key, value] of drv.env) {
    check(`the environment variable ${JSON.stringify(key)}`, key);
    check(`the environment variable ${JSON.stringify(key)}`, value);
  }
}

function escapesOf(format: DerivationJsonFormat): JsonStyle["escapes"] {
  return format === "nix-2.8" ? "nix-2.8" : "nlohmann";
}
