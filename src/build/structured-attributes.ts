/**
 * Structured attributes: the files `.attrs.json` and `.attrs.sh` that a builder gets instead of variables. See
 * build-sandbox, "Structured attributes"; numbers are printed as Nix prints them, keys ascend.
 */
import { type ByteString, compareBytes } from "../formats/byte-string.ts";
import { printContentAddress } from "../formats/content-address.ts";
import type { BasicDerivation } from "../formats/derivation/derivation.ts";
import {
  isJsonArray,
  isJsonObject,
  type Json,
  type JsonNumber,
  type JsonObject,
  printJson,
} from "../formats/derivation/json-value.ts";
import { printHash } from "../formats/hash.ts";
import { outputPlaceholder } from "../formats/make-store-path.ts";
import { parseFullStorePath, type StorePath } from "../formats/store-path.ts";
import { computeClosure } from "../store/closure.ts";
import { type LocalStore, showPath } from "../store/local-store.ts";
import type { PathInfo } from "../store/path-info.ts";
import { queryPathInfos } from "../store/queries.ts";
import { BuildFailure } from "./build-failure.ts";
import { jsonStrings } from "./derivation-attributes.ts";
import { exportedGraph } from "./references-graph.ts";
import { rewriteString, type Rewrites } from "./rewrites.ts";

export interface StructuredFiles {
  readonly json: ByteString;
  readonly shell: ByteString;
}

/** @param inputs the closure of the derivation's inputs @throws BuildFailure */
export function structuredFiles(
  store: LocalStore,
  drv: BasicDerivation,
  attributes: JsonObject,
  inputs: ReadonlySet<StorePath>,
  rewrites: Rewrites,
): StructuredFiles {
  const members = new Map<ByteString, Json>(attributes);
  const outputs = [...drv.outputs.keys()].map((name): [ByteString, Json] => [
    name as ByteString,
    rewriteString(outputPlaceholder(name) as ByteString, rewrites),
  ]);
  members.set("outputs" as ByteString, new Map(outputs));
  const graphs = attributes.get("exportReferencesGraph" as ByteString);
  if (graphs !== undefined && isJsonObject(graphs)) {
    for (const [name, paths] of graphs) members.set(name, graphValue(store, paths, inputs));
  }
  const value = canonicalJson(members) as JsonObject;
  return {
    json: rewriteString(printJson(value, { layout: "compact", escapes: "nlohmann" }), rewrites),
    shell: rewriteString(printShell(value), rewrites),
  };
}

function graphValue(store: LocalStore, paths: Json, inputs: ReadonlySet<StorePath>): Json {
  // As in Nix, a path may stand for a list of one.
  const strings = typeof paths === "string" ? [paths] : jsonStrings(paths);
  if (strings === undefined) {
    throw new BuildFailure("input-rejected", "'exportReferencesGraph' must have lists of store paths as values");
  }
  const starts = strings.map((path) => parseFullStorePath(store.storeDir, path));
  return exportedGraph(store, starts, inputs).map((info) => pathInfoJson(store, info));
}

function pathInfoJson(store: LocalStore, info: PathInfo): JsonObject {
  const members: [string, Json][] = [
    ["closureSize", jsonNumber(closureSize(store, info.path))],
    ["narHash", printHash(info.narHash, "base32") as ByteString],
    ["narSize", jsonNumber(info.narSize ?? 0)],
    ["path", showPath(store, info.path) as ByteString],
    ["references", info.references.map((reference) => showPath(store, reference) as ByteString)],
  ];
  if (info.contentAddress !== undefined) members.push(["ca", printContentAddress(info.contentAddress) as ByteString]);
  return new Map(members as [ByteString, Json][]);
}

function closureSize(store: LocalStore, path: StorePath): number {
  let size = 0;
  for (const info of queryPathInfos(store, computeClosure(store, [path])).values()) size += info.narSize ?? 0;
  return size;
}

function jsonNumber(value: number): JsonNumber {
  return { digits: String(value) };
}

/** Keys ascend, numbers are as Nix's JSON library prints them. */
function canonicalJson(value: Json): Json {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (isJsonArray(value)) return value.map(canonicalJson);
  if (isJsonObject(value)) {
    const members = [...value].map(([key, member]): [ByteString, Json] => [key, canonicalJson(member)]);
    return new Map(members.sort(([a], [b]) => compareBytes(a, b)));
  }
  return { digits: canonicalNumber(value.digits) };
}

const minInteger = -(2n ** 63n);
const maxInteger = 2n ** 64n - 1n;

/** An integer that 64 bits hold stays one; all else is a double. */
function canonicalNumber(digits: string): string {
  if (isInteger(digits)) {
    const value = BigInt(digits);
    if (value >= minInteger && value <= maxInteger) return String(value);
  }
  return printDouble(Number(digits));
}

function isInteger(digits: string): boolean {
  return /^-?[0-9]+$/.test(digits);
}

/** The fewest digits that give the same double, always with a point or an exponent. */
function printDouble(value: number): string {
  if (!Number.isFinite(value)) return "null";
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [mantissa, exponentText] = value.toExponential().split("e") as [string, string];
  const sign = mantissa.startsWith("-") ? "-" : "";
  const digits = mantissa.replace(/[-.]/g, "");
  /** Where the point is, counted from the first digit. */
  const point = Number(exponentText) + 1;
  if (digits.length <= point && point <= 15) return `${sign}${digits.padEnd(point, "0")}.0`;
  if (point > 0 && point <= 15) return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
  if (point > -4 && point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  const exponent = `${point <= 0 ? "-" : "+"}${String(Math.abs(point - 1)).padStart(2, "0")}`;
  return `${sign}${digits.length === 1 ? digits : `${digits[0]}.${digits.slice(1)}`}e${exponent}`;
}

/** What bash can hold becomes declarations, all else is left out. */
function printShell(value: JsonObject): ByteString {
  let text = "";
  for (const [name, member] of value) {
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) text += printDeclaration(name, member) ?? "";
  }
  return text as ByteString;
}

function printDeclaration(name: string, value: Json): string | undefined {
  if (isJsonArray(value)) {
    const words = value.map(printSimple);
    if (words.includes(undefined)) return undefined;
    return `declare -a ${name}=(${words.map((word) => `${word} `).join("")})\n`;
  }
  if (value !== null && isJsonObject(value)) {
    let text = "";
    for (const [key, member] of value) {
      const word = printSimple(member);
      if (word === undefined) return undefined;
      text += `[${quote(key)}]=${word} `;
    }
    return `declare -A ${name}=(${text})\n`;
  }
  const word = printSimple(value);
  return word === undefined ? undefined : `declare ${name}=${word}\n`;
}

function printSimple(value: Json): string | undefined {
  if (value === null) return "''";
  if (typeof value === "boolean") return value ? "1" : "";
  if (typeof value === "string") return quote(value);
  if (isJsonArray(value) || isJsonObject(value)) return undefined;
  return printInteger(value.digits);
}

/** As in Nix 2.8: whole numbers only, of which 32 bits are kept. */
function printInteger(digits: string): string | undefined {
  if (isInteger(digits)) return String(BigInt.asIntN(32, BigInt(digits)));
  const value = Number(digits);
  if (!Number.isInteger(Math.fround(value))) return undefined;
  const whole = Math.trunc(value);
  return String(Math.abs(whole) < 2 ** 31 ? whole : -(2 ** 31));
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
