/**
 * Values of a recipe as the builder gets them: strings as Nix coerces them (`true` is "1", `false` and null are "", lists are joined by
 * spaces, numbers that are no integers have six decimals), or JSON for structured attributes. What a value depends on is collected.
 */
import { type ByteString, compareBytes, fromText } from "../formats/byte-string.ts";
import { type Json, printJson } from "../formats/derivation/json-value.ts";
import type { InputCollector } from "./inputs.ts";
import { RecipeError } from "./recipe-error.ts";
import { dependencyOf, isStoreObject } from "./store-object.ts";

/** Bounds of Nix's integers. */
const maxInteger = 2n ** 63n - 1n;
const minInteger = -(2n ** 63n);

/** Values nested deeper are a mistake, such as a list that contains itself. */
const maxDepth = 200;

/** @param what names the value in complaints, such as `env.CFLAGS`. @throws RecipeError */
export function coerceToString(value: unknown, what: string, inputs: InputCollector): ByteString {
  return coerce(value, what, inputs, 0) as ByteString;
}

function coerce(value: unknown, what: string, inputs: InputCollector, depth: number): string {
  switch (typeof value) {
    case "string":
      inputs.scan(value);
      return checkedText(value, what);
    case "boolean":
      return value ? "1" : "";
    case "number":
    case "bigint":
      return printNumber(value, what, (float) => float.toFixed(6));
  }
  if (value === null) return "";
  if (depth > maxDepth) throw new RecipeError(`${what}: lists are nested more than ${maxDepth} deep`);
  if (Array.isArray(value)) return joinList(value, what, inputs, depth);
  if (isStoreObject(value)) return pathOf(value, inputs);
  throw new RecipeError(`${what}: ${faultOf(value)}`);
}

/** Nix puts no space behind an empty list. */
function joinList(list: readonly unknown[], what: string, inputs: InputCollector, depth: number): string {
  let joined = "";
  list.forEach((element, index) => {
    joined += coerce(element, `${what}[${index}]`, inputs, depth + 1);
    if (index < list.length - 1 && !(Array.isArray(element) && element.length === 0)) joined += " ";
  });
  return joined;
}

/** The text of structured attributes. Keys ascend bytewise. @throws RecipeError */
export function coerceToJson(value: unknown, what: string, inputs: InputCollector): ByteString {
  return printJson(toJson(value, what, inputs, 0), { layout: "compact", escapes: "nix-2.8" });
}

function toJson(value: unknown, what: string, inputs: InputCollector, depth: number): Json {
  switch (typeof value) {
    case "string":
      inputs.scan(value);
      return checkedText(value, what);
    case "boolean":
      return value;
    case "number":
    case "bigint":
      return { digits: printNumber(value, what, printFloat) };
  }
  if (value === null) return null;
  if (depth > maxDepth) throw new RecipeError(`${what}: nested more than ${maxDepth} deep`);
  if (Array.isArray(value)) {
    return value.map((element, index) => toJson(element, `${what}[${index}]`, inputs, depth + 1));
  }
  if (isStoreObject(value)) return pathOf(value, inputs);
  if (!isPlainObject(value)) throw new RecipeError(`${what}: ${faultOf(value)}`);
  const members = Object.entries(value).map(([key, member]): [ByteString, Json] => {
    const name = `${what}.${key}`;
    return [checkedText(key, name), toJson(member, name, inputs, depth + 1)];
  });
  return new Map(members.sort((a, b) => compareBytes(a[0], b[0])));
}

function pathOf(value: { readonly path: string }, inputs: InputCollector): ByteString {
  inputs.add(dependencyOf(value)!);
  return fromText(value.path);
}

/** UTF-8 that a process can be given. @throws RecipeError */
export function checkedText(text: string, what: string): ByteString {
  if (text.includes("\0"))
    throw new RecipeError(`${what}: contains a NUL character, which no variable or argument can`);
  if (!text.isWellFormed()) throw new RecipeError(`${what}: contains half of a surrogate pair, which is no text`);
  return fromText(text);
}

function printNumber(value: number | bigint, what: string, printFraction: (float: number) => string): string {
  if (typeof value === "number" && !Number.isInteger(value)) {
    if (!Number.isFinite(value)) throw new RecipeError(`${what}: is ${value}; expected a number`);
    return printFraction(value);
  }
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw new RecipeError(`${what}: ${value} is too large to be exact; write it as ${BigInt(value)}n, or as a string`);
  }
  const integer = BigInt(value);
  if (integer > maxInteger || integer < minInteger) {
    throw new RecipeError(`${what}: ${value} does not fit into 64 bits; write it as a string`);
  }
  return integer.toString();
}

/** As today's Nix: as many digits as it takes; exponents from 10^-5 down, with two digits at least. */
function printFloat(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude >= 1e-4) return String(value);
  const [digits, exponent] = value.toExponential().split("e-") as [string, string];
  return `${digits}e-${exponent.padStart(2, "0")}`;
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** What is wrong with a value that is none of those allowed. */
function faultOf(value: unknown): string {
  if (value === undefined) return "is undefined; leave it out, or use null for an empty value";
  if (typeof value === "function") return "is a function; was it meant to be called?";
  if (typeof value === "symbol")
    return "is a symbol; expected a string, number, boolean, list or something with a path";
  if (value instanceof Promise) return "is a promise; put 'await' before it";
  return "is an object; expected a string, number, boolean, list or something with a path";
}
