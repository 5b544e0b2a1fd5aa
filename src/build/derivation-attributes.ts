/**
 * The attributes of a derivation that mean something to whoever builds it. They are variables of its environment, where
 * "1" is true and lists are words, or with structured attributes members of the JSON in `__json`.
 */
import type { ByteString } from "../formats/byte-string.ts";
import type { BasicDerivation } from "../formats/derivation/derivation.ts";
import { isBuiltin } from "../formats/derivation/derivation.ts";
import { isJsonArray, isJsonObject, type Json, type JsonObject, parseJson } from "../formats/derivation/json-value.ts";
import type { Settings } from "../formats/settings/settings.ts";
import { SiloError } from "../error.ts";
import { BuildFailure } from "./build-failure.ts";

export interface DerivationAttributes {
  /** Undefined when the derivation has none. */
  readonly structured: JsonObject | undefined;
  string(name: string): ByteString | undefined;
  strings(name: string): ByteString[] | undefined;
  bool(name: string, initial: "true" | "false"): boolean;
}

const jsonName = "__json" as ByteString;

/** @param shown the derivation's path, for errors @throws BuildFailure for JSON that cannot be read */
export function derivationAttributes(drv: BasicDerivation, shown: string): DerivationAttributes {
  const text = drv.env.get(jsonName);
  if (text === undefined) return environmentAttributes(drv);
  const structured = parseAttributes(text, shown);
  const fail = (name: string, wanted: string): never => {
    throw new BuildFailure("input-rejected", `attribute '${name}' of derivation '${shown}' must be ${wanted}`);
  };
  const get = (name: string): Json | undefined => structured.get(name as ByteString);
  return {
    structured,
    string(name) {
      const value = get(name);
      return value === undefined || typeof value === "string" ? value : fail(name, "a string");
    },
    strings(name) {
      const value = get(name);
      if (value === undefined) return undefined;
      return jsonStrings(value) ?? fail(name, "a list of strings");
    },
    bool(name, initial) {
      const value = get(name);
      if (value === undefined) return initial === "true";
      return typeof value === "boolean" ? value : fail(name, "a Boolean");
    },
  };
}

function parseAttributes(text: ByteString, shown: string): JsonObject {
  try {
    const value = parseJson(text);
    if (isJsonObject(value)) return value;
    throw new BuildFailure("input-rejected", `cannot process __json attribute of '${shown}': it is no object`);
  } catch (error) {
    if (error instanceof BuildFailure || !(error instanceof SiloError)) throw error;
    throw new BuildFailure("input-rejected", `cannot process __json attribute of '${shown}': ${error.message}`);
  }
}

function environmentAttributes({ env }: BasicDerivation): DerivationAttributes {
  const get = (name: string) => env.get(name as ByteString);
  return {
    structured: undefined,
    string: get,
    strings(name) {
      const value = get(name);
      return value === undefined ? undefined : words(value);
    },
    bool(name, initial) {
      const value = get(name);
      return value === undefined ? initial === "true" : value === "1";
    },
  };
}

/** The strings of a JSON list; undefined for anything else. */
export function jsonStrings(value: Json): ByteString[] | undefined {
  if (!isJsonArray(value)) return undefined;
  const strings: ByteString[] = [];
  for (const element of value) {
    if (typeof element !== "string") return undefined;
    strings.push(element);
  }
  return strings;
}

/** What stands between spaces, tabs and line ends. */
export function words(text: ByteString): ByteString[] {
  return text.split(/[ \t\n\r]+/).filter((word) => word !== "") as ByteString[];
}

/** Sorted. */
export function requiredSystemFeatures(attributes: DerivationAttributes): ByteString[] {
  return [...new Set(attributes.strings("requiredSystemFeatures"))].sort();
}

/** Are system type and features this machine's? */
export function canBuildHere(settings: Settings, drv: BasicDerivation, attributes: DerivationAttributes): boolean {
  const isSystemOurs =
    drv.system === settings.get("system") || settings.get("extra-platforms").includes(drv.system) || isBuiltin(drv);
  const features = settings.get("system-features");
  return isSystemOurs && requiredSystemFeatures(attributes).every((feature) => features.includes(feature));
}

/** Does it ask to be built here, and can it? */
export function prefersToBuildHere(
  settings: Settings,
  drv: BasicDerivation,
  attributes: DerivationAttributes,
): boolean {
  return attributes.bool("preferLocalBuild", "false") && canBuildHere(settings, drv, attributes);
}

/** May its outputs be fetched instead of built? */
export function substitutesAllowed(settings: Settings, attributes: DerivationAttributes): boolean {
  return settings.get("always-allow-substitutes") || attributes.bool("allowSubstitutes", "true");
}
