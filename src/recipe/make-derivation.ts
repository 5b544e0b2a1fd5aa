/**
 * `derivation` of the recipes: the derivation that Nix's `builtins.derivation` makes of the same attributes, byte for byte. All that
 * Nix puts into the environment is there: `name`, `builder`, `system`, a variable for each output, and whatever was given.
 */
import { type ByteString, fromText } from "../formats/byte-string.ts";
import type { Derivation, DerivationOutput, OutputMethod } from "../formats/derivation/derivation.ts";
import { isSystem } from "../formats/derivation/derivation.ts";
import { structuredAttrsVariable } from "../formats/derivation/json-format.ts";
import { fixedOutput } from "../formats/derivation/output-fields.ts";
import { fillOutputs } from "../formats/derivation/output-paths.ts";
import { isOutputName } from "../formats/derivation-outputs.ts";
import { BadHash, type Hash, type HashAlgo, hashSize, isHashAlgo, parseHash } from "../formats/hash.ts";
import { nameFault } from "../formats/store-path.ts";
import { checkOptions, describe, type OptionTable } from "./check-options.ts";
import { checkedText, coerceToJson, coerceToString } from "./coerce.ts";
import { type Evaluation, type KnownDerivation, rememberDerivation } from "./evaluation.ts";
import { collectInputs, type InputCollector } from "./inputs.ts";
import { RecipeError } from "./recipe-error.ts";

const optionTable: OptionTable = {
  name: "string",
  builder: "value",
  args: "list",
  system: "string",
  outputs: "strings",
  env: "record",
  structuredAttrs: "record",
  outputHash: "string",
  outputHashAlgo: "string",
  outputHashMode: "string",
  contentAddressed: "boolean",
};

/** Attributes that have an option of their own; as variables they would be two things at once. */
const ownVariables = new Set([
  "name",
  "builder",
  "system",
  "args",
  "outputs",
  "outputHash",
  "outputHashAlgo",
  "outputHashMode",
]);

/** @throws RecipeError */
export function makeDerivation(evaluation: Evaluation, given: unknown): KnownDerivation {
  const options = checkOptions("derivation", given, optionTable, ["name", "builder"]);
  const name = checkDerivationName(options["name"] as string);
  const what = `derivation '${name}'`;
  const inputs = collectInputs(evaluation);

  const attributes = attributesOf(evaluation, what, options);
  const text = (attribute: string) => coerceToString(attributes[attribute], `${what}: '${attribute}'`, inputs);
  const builder = text("builder");
  if (builder === "") throw new RecipeError(`${what}: 'builder' is empty`);
  const system = text("system");
  if (system === "" || !isSystem(system)) throw new RecipeError(`${what}: 'system' is ${describe(options["system"])}`);
  const args = ((options["args"] ?? []) as unknown[]).map((arg, i) =>
    coerceToString(arg, `${what}: args[${i}]`, inputs),
  );
  const outputNames = checkOutputNames(what, (options["outputs"] ?? ["out"]) as readonly string[]);
  const env =
    options["structuredAttrs"] === undefined
      ? stringVariables(what, attributes, outputNames, inputs)
      : new Map([[structuredAttrsVariable, coerceToJson(attributes, what, inputs)]]);
  const outputs = outputsOf(evaluation, what, name, outputNames, options);
  const { sources, derivations } = inputs.finish();
  const drv: Derivation = { name, outputs, inputSrcs: sources, inputDrvs: derivations, system, builder, args, env };
  return rememberDerivation(evaluation, fillOutputs(evaluation.modulo, drv));
}

/** As the attributes of Nix's function would be, without `args`. */
function attributesOf(
  evaluation: Evaluation,
  what: string,
  options: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  if (options["env"] !== undefined && options["structuredAttrs"] !== undefined) {
    throw new RecipeError(`${what}: has both 'env' and 'structuredAttrs'; give one of them`);
  }
  const { name, builder, system = evaluation.system, outputs, outputHash, outputHashAlgo, outputHashMode } = options;
  const own = { name, builder, system, outputs, outputHash, outputHashAlgo, outputHashMode };
  const attributes: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(own)) if (value !== undefined) attributes[key] = value;
  const further = (options["env"] ?? options["structuredAttrs"] ?? {}) as Readonly<Record<string, unknown>>;
  for (const [key, value] of Object.entries(further)) {
    if (ownVariables.has(key))
      throw new RecipeError(`${what}: '${key}' is an option of its own; it does not go into 'env'`);
    attributes[key] = value;
  }
  return attributes;
}

function stringVariables(
  what: string,
  attributes: Readonly<Record<string, unknown>>,
  outputNames: readonly string[],
  inputs: InputCollector,
): Map<ByteString, ByteString> {
  const env = new Map<ByteString, ByteString>();
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "" || key.includes("=")) throw new RecipeError(`${what}: ${describe(key)} cannot name a variable`);
    if (outputNames.includes(key))
      throw new RecipeError(`${what}: env.${key} is already the path of the output '${key}'`);
    env.set(checkedText(key, `${what}: env`), coerceToString(value, `${what}: env.${key}`, inputs));
  }
  return env;
}

/** @throws RecipeError */
function checkDerivationName(name: string): string {
  const fault = nameFault(name) ?? (name.endsWith(".drv") ? 'name ends in ".drv"' : undefined);
  if (fault !== undefined) throw new RecipeError(`derivation: cannot be named ${describe(name)}: ${fault}`);
  return name;
}

function checkOutputNames(what: string, names: readonly string[]): readonly string[] {
  if (names.length === 0) throw new RecipeError(`${what}: 'outputs' is empty; a derivation makes at least one`);
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new RecipeError(`${what}: has the output '${name}' twice`);
    if (name === "drv" || !isOutputName(name))
      throw new RecipeError(`${what}: no output can be named ${describe(name)}`);
    seen.add(name);
  }
  return names;
}

function outputsOf(
  evaluation: Evaluation,
  what: string,
  name: string,
  names: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Map<string, DerivationOutput> {
  const method = methodOf(what, options);
  if (options["outputHash"] !== undefined) {
    if (options["contentAddressed"] === true)
      throw new RecipeError(`${what}: has both 'outputHash' and 'contentAddressed'`);
    if (names.length !== 1 || names[0] !== "out") {
      throw new RecipeError(`${what}: with 'outputHash', there is one output and it is named 'out'`);
    }
    const hash = expectedHash(what, options["outputHash"] as string, options["outputHashAlgo"] as string | undefined);
    return new Map([["out", fixedOutput(evaluation.storeDir, name, "out", method, hash)]]);
  }
  if (options["contentAddressed"] === true) {
    const hashAlgo = algorithmOf(what, (options["outputHashAlgo"] as string | undefined) || "sha256")!;
    return new Map(names.map((id) => [id, { kind: "floating", method, hashAlgo }]));
  }
  return new Map(names.map((id) => [id, { kind: "deferred" }]));
}

function methodOf(what: string, { outputHashMode, contentAddressed }: Readonly<Record<string, unknown>>): OutputMethod {
  const mode = outputHashMode ?? (contentAddressed === true ? "recursive" : "flat");
  if (mode === "flat" || mode === "recursive") return mode;
  throw new RecipeError(`${what}: 'outputHashMode' is ${describe(mode)}; expected "flat" or "recursive"`);
}

/** An empty hash stands for one that is not known yet: no contents have the hash zero. */
function expectedHash(what: string, text: string, algorithm: string | undefined): Hash {
  const algo = algorithmOf(what, algorithm ?? "");
  if (text === "") {
    const assumed = algo ?? "sha256";
    return { algo: assumed, bytes: new Uint8Array(hashSize[assumed]) };
  }
  try {
    return parseHash(fromText(text), algo);
  } catch (error) {
    if (!(error instanceof BadHash)) throw error;
    throw new RecipeError(`${what}: ${describe(text)} is no hash: ${error.reason}`, undefined, { cause: error });
  }
}

function algorithmOf(what: string, name: string): HashAlgo | undefined {
  if (name === "") return undefined;
  if (isHashAlgo(name)) return name;
  throw new RecipeError(`${what}: ${describe(name)} is no hash algorithm; expected md5, sha1, sha256 or sha512`);
}
