/**
 * Reads derivations from JSON, in any of the formats of json-format.ts and in mixtures of them: each part says itself how it is written.
 * What would be lost is refused: keys that none of the formats has, outputs of outputs, an output whose keys fit no kind.
 */
import { SiloError } from "../../error.ts";
import { type ByteString, decodeBytes, toText } from "../byte-string.ts";
import { isOutputName } from "../derivation-outputs.ts";
import { type HashAlgo, isHashAlgo, parseBareHash, parseHash } from "../hash.ts";
import { derivationName } from "../make-store-path.ts";
import { checkName, parseFullStorePath, parseStorePath, type StoreDir, type StorePath } from "../store-path.ts";
import { BadDerivation, type Derivation, type DerivationOutput, isSystem, type OutputMethod } from "./derivation.ts";
import { jsonMethodNames, sortKeys, structuredAttrsVariable } from "./json-format.ts";
import { isJsonArray, isJsonObject, type Json, type JsonObject, parseJson, printJson } from "./json-value.ts";
import { fixedOutput, isMethodAlgo, parseMethodAlgo } from "./output-fields.ts";

/** One derivation. `name` is needed where the text has none (before 2.15) and must agree where it has. @throws BadDerivation */
export function parseDerivationJson(dir: StoreDir, text: ByteString | Uint8Array, name?: string): Derivation {
  return describing(name ?? "", () => readDerivation(dir, parseText(text), name));
}

/** Derivations by path. That a path fits its derivation is not checked. @throws BadDerivation */
export function parseDerivationsJson(dir: StoreDir, text: ByteString | Uint8Array): Map<StorePath, Derivation> {
  const derivations = new Map<StorePath, Derivation>();
  describing("", () => {
    const root = objectIn(parseText(text), "the text");
    const wrapped = root.get("derivations" as ByteString);
    if (wrapped !== undefined) {
      checkKeys(root, ["derivations", "version"], "the text");
      checkVersion(root.get("version" as ByteString));
    }
    for (const [path, drv] of wrapped === undefined ? root : objectIn(wrapped, "derivations")) {
      const drvPath = readPath(dir, path);
      describing(drvPath, () => derivations.set(drvPath, readDerivation(dir, drv, derivationName(drvPath))));
    }
  });
  return derivations;
}

function parseText(text: ByteString | Uint8Array): Json {
  return parseJson(typeof text === "string" ? text : decodeBytes(text));
}

/** Thrown where it is not known which derivation is meant; {@link describing} makes a {@link BadDerivation} of it. */
class BadShape extends SiloError {
  readonly code = "bad-derivation-json";
}

function describing<T>(derivation: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SiloError) || error instanceof BadDerivation) throw error;
    throw new BadDerivation(derivation, undefined, error.message, { cause: error });
  }
}

const keys = [
  "outputs",
  "inputs",
  "inputSrcs",
  "inputDrvs",
  "system",
  "builder",
  "args",
  "env",
  "name",
  "structuredAttrs",
  "version",
];

function readDerivation(dir: StoreDir, json: Json, expectedName: string | undefined): Derivation {
  const object = objectIn(json, "a derivation");
  checkKeys(object, keys, "a derivation");
  checkVersion(object.get("version" as ByteString));
  const name = readName(object, expectedName);

  const outputs = new Map<string, DerivationOutput>();
  for (const [id, output] of objectIn(required(object, "outputs"), "outputs")) {
    if (!isOutputName(id)) throw new BadShape(`${quote(id)} is not the name of an output`);
    outputs.set(id, readOutput(dir, objectIn(output, `output ${quote(id)}`), name, id));
  }

  const inputs = object.get("inputs" as ByteString);
  const inputObject = inputs === undefined ? object : objectIn(inputs, "inputs");
  if (inputs !== undefined) checkKeys(inputObject, ["drvs", "srcs"], "inputs");
  const srcs = required(inputObject, inputs === undefined ? "inputSrcs" : "srcs");
  const drvs = required(inputObject, inputs === undefined ? "inputDrvs" : "drvs");
  if (inputs !== undefined && (object.has("inputSrcs" as ByteString) || object.has("inputDrvs" as ByteString)))
    throw new BadShape("has both inputs and inputSrcs or inputDrvs");
  const system = stringIn(required(object, "system"), "system");
  if (!isSystem(system)) throw new BadShape("the system contains a character that .drv files do not escape");

  const inputDrvs = new Map<StorePath, ReadonlySet<string>>();
  for (const [path, wanted] of objectIn(drvs, "input derivations"))
    inputDrvs.set(readPath(dir, path), readWanted(wanted, path));

  return {
    name,
    outputs,
    inputDrvs,
    inputSrcs: new Set(stringsIn(srcs, "input sources").map((path) => readPath(dir, path))),
    system,
    builder: stringIn(required(object, "builder"), "builder"),
    args: stringsIn(required(object, "args"), "args"),
    env: readEnv(object),
  };
}

function readName(object: JsonObject, expected: string | undefined): string {
  const stated = object.get("name" as ByteString);
  const name = stated === undefined ? expected : stringIn(stated, "name");
  if (name === undefined) throw new BadShape(`the key "name" is missing`);
  if (expected !== undefined && name !== expected)
    throw new BadShape(`has the name ${quote(name)}, expected ${quote(expected)}`);
  checkName(name);
  return name;
}

function readEnv(object: JsonObject): Map<ByteString, ByteString> {
  const env = new Map<ByteString, ByteString>();
  for (const [key, value] of objectIn(required(object, "env"), "env"))
    env.set(key, stringIn(value, `env ${quote(key)}`));
  const attributes = object.get("structuredAttrs" as ByteString);
  if (attributes === undefined) return env;
  if (env.has(structuredAttrsVariable)) throw new BadShape("has both structuredAttrs and __json in env");
  const sorted = sortKeys(objectIn(attributes, "structuredAttrs"));
  return env.set(structuredAttrsVariable, printJson(sorted, { layout: "compact", escapes: "nlohmann" }));
}

function readWanted(json: Json, path: string): ReadonlySet<string> {
  let outputs = json;
  if (isJsonObject(json)) {
    checkKeys(json, ["outputs", "dynamicOutputs"], `input ${quote(path)}`);
    outputs = required(json, "outputs");
    const dynamic = json.get("dynamicOutputs" as ByteString);
    if (dynamic !== undefined && objectIn(dynamic, "dynamicOutputs").size > 0)
      throw new BadShape(`input ${quote(path)} has dynamic outputs, which are not supported`);
  }
  const wanted = new Set(stringsIn(outputs, `the outputs of input ${quote(path)}`));
  if (wanted.size === 0) throw new BadShape(`input ${quote(path)} has no outputs`);
  for (const id of wanted) if (!isOutputName(id)) throw new BadShape(`${quote(id)} is not the name of an output`);
  return wanted;
}

function readOutput(dir: StoreDir, json: JsonObject, drvName: string, id: string): DerivationOutput {
  const what = `output ${quote(id)}`;
  checkKeys(json, ["path", "method", "hashAlgo", "hash", "impure"], what);
  const text = (key: string): ByteString | undefined => {
    const value = json.get(key as ByteString);
    return value === undefined ? undefined : stringIn(value, `${what}, ${key}`);
  };
  const path = text("path");
  const hash = text("hash");
  const impure = json.get("impure" as ByteString);
  const { method, hashAlgo } = readMethod(text("method"), text("hashAlgo"), what);

  if (method === undefined) {
    if (hash !== undefined || hashAlgo !== undefined || impure !== undefined)
      throw new BadShape(`${what}: keys fit no kind of output`);
    return path === undefined ? { kind: "deferred" } : { kind: "input-addressed", path: readPath(dir, path) };
  }
  if (hash !== undefined && impure === undefined) {
    const digest = hashAlgo === undefined ? parseHash(hash) : parseBareHash(hash, hashAlgo);
    if (!isMethodAlgo(method, digest.algo)) throw new BadShape(`${what}: text is hashed with sha256 only`);
    return fixedOutput(dir, drvName, id, method, digest, path === undefined ? undefined : readPath(dir, path));
  }
  if (hash === undefined && hashAlgo !== undefined && path === undefined) {
    if (!isMethodAlgo(method, hashAlgo)) throw new BadShape(`${what}: text is hashed with sha256 only`);
    if (impure === true) return { kind: "impure", method, hashAlgo };
    if (impure === undefined) return { kind: "floating", method, hashAlgo };
  }
  throw new BadShape(`${what}: keys fit no kind of output`);
}

/** From `method` and a bare `hashAlgo`, `method` alone, or `[r:]<algo>`. */
function readMethod(
  methodName: string | undefined,
  algoText: string | undefined,
  what: string,
): { method: OutputMethod | undefined; hashAlgo: HashAlgo | undefined } {
  if (methodName === undefined) {
    if (algoText === undefined) return { method: undefined, hashAlgo: undefined };
    const parsed = parseMethodAlgo(algoText);
    if (parsed === undefined) throw new BadShape(`${what}: unknown hash algorithm ${quote(algoText)}`);
    return parsed;
  }
  const method = methods.find((candidate) => jsonMethodNames[candidate] === methodName);
  if (method === undefined)
    throw new BadShape(`${what}: unknown method ${quote(methodName)}, expected flat, nar or text`);
  if (algoText !== undefined && !isHashAlgo(algoText))
    throw new BadShape(`${what}: unknown hash algorithm ${quote(algoText)}`);
  return { method, hashAlgo: algoText };
}

const methods: readonly OutputMethod[] = ["flat", "recursive", "text"];

/** A full path, or (version 3 and later) a base name. */
function readPath(dir: StoreDir, text: string): StorePath {
  return text.startsWith("/") ? parseFullStorePath(dir, text) : parseStorePath(text);
}

function checkVersion(json: Json | undefined): void {
  if (json === undefined) return;
  const digits = json !== null && typeof json === "object" && "digits" in json ? json.digits : undefined;
  if (digits !== "3" && digits !== "4") throw new BadShape("unsupported version of the JSON format, expected 3 or 4");
}

function checkKeys(object: JsonObject, known: readonly string[], what: string): void {
  for (const key of object.keys()) if (!known.includes(key)) throw new BadShape(`${what}: unknown key ${quote(key)}`);
}

function required(object: JsonObject, key: string): Json {
  const value = object.get(key as ByteString);
  if (value === undefined) throw new BadShape(`the key "${key}" is missing`);
  return value;
}

function objectIn(json: Json, what: string): JsonObject {
  if (!isJsonObject(json)) throw new BadShape(`${what}: expected an object`);
  return json;
}

function stringIn(json: Json, what: string): ByteString {
  if (typeof json !== "string") throw new BadShape(`${what}: expected a string`);
  return json;
}

function stringsIn(json: Json, what: string): ByteString[] {
  if (!isJsonArray(json)) throw new BadShape(`${what}: expected a list`);
  return json.map((element) => stringIn(element, what));
}

function quote(text: string): string {
  return JSON.stringify(toText(text));
}
