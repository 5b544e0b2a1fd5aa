/** What a derivation says its outputs may refer to, and how large they may be. See build-sandbox, "Reference checks". */
import type { ByteString } from "../formats/byte-string.ts";
import { isJsonObject, type Json, type JsonObject } from "../formats/derivation/json-value.ts";
import { isInStore, parseFullStorePath, type StorePath } from "../formats/store-path.ts";
import { computeClosure } from "../store/closure.ts";
import { type LocalStore, showPath } from "../store/local-store.ts";
import type { PathInfo } from "../store/path-info.ts";
import { queryPathInfos } from "../store/queries.ts";
import { BuildFailure } from "./build-failure.ts";
import { type DerivationAttributes, jsonStrings } from "./derivation-attributes.ts";

interface Limits {
  readonly references: Readonly<Record<ListName, readonly ByteString[] | undefined>>;
  readonly maxSize: number | undefined;
  readonly maxClosureSize: number | undefined;
  /** Does an output count among its own requisites? */
  readonly self: "counts" | "ignored";
}

const listNames = ["allowedReferences", "allowedRequisites", "disallowedReferences", "disallowedRequisites"] as const;
type ListName = (typeof listNames)[number];

/** @param infos of the outputs that were built, by name @throws BuildFailure */
export function checkOutputs(
  store: LocalStore,
  attributes: DerivationAttributes,
  infos: ReadonlyMap<string, PathInfo>,
): void {
  for (const [name, info] of infos) {
    const limits = limitsOf(attributes, name);
    if (limits !== undefined) checkOutput({ store, infos }, info, limits);
  }
}

interface CheckContext {
  readonly store: LocalStore;
  readonly infos: ReadonlyMap<string, PathInfo>;
}

function limitsOf(attributes: DerivationAttributes, output: string): Limits | undefined {
  const { structured } = attributes;
  if (structured === undefined) {
    const lists = Object.fromEntries(listNames.map((name) => [name, attributes.strings(name)]));
    return {
      references: lists as Limits["references"],
      maxSize: undefined,
      maxClosureSize: undefined,
      self: "ignored",
    };
  }
  const checks = member(structured, "outputChecks");
  const own = checks !== undefined && isJsonObject(checks) ? member(checks, output) : undefined;
  if (own === undefined || !isJsonObject(own)) return undefined;
  const lists = Object.fromEntries(listNames.map((name) => [name, listMember(own, name)]));
  return {
    references: lists as Limits["references"],
    maxSize: numberMember(own, "maxSize"),
    maxClosureSize: numberMember(own, "maxClosureSize"),
    self: "counts",
  };
}

function member(object: JsonObject, name: string): Json | undefined {
  return object.get(name as ByteString);
}

function listMember(object: JsonObject, name: string): readonly ByteString[] | undefined {
  const value = member(object, name);
  if (value === undefined) return undefined;
  return jsonStrings(value) ?? fail(`attribute '${name}' must be a list of strings`);
}

function numberMember(object: JsonObject, name: string): number | undefined {
  const value = member(object, name);
  if (value === undefined) return undefined;
  if (value !== null && typeof value === "object" && "digits" in value) return Number(value.digits);
  return fail(`attribute '${name}' must be a number of bytes`);
}

function checkOutput(context: CheckContext, info: PathInfo, limits: Limits): void {
  const shown = showPath(context.store, info.path);
  const size = info.narSize ?? 0;
  if (limits.maxSize !== undefined && size > limits.maxSize) {
    fail(`path '${shown}' is too large at ${size} bytes; limit is ${limits.maxSize} bytes`);
  }
  if (limits.maxClosureSize !== undefined) {
    const closureSize = [...closureOf(context, info).values()].reduce((sum, each) => sum + (each.narSize ?? 0), 0);
    if (closureSize > limits.maxClosureSize) {
      fail(`closure of path '${shown}' is too large at ${closureSize} bytes; limit is ${limits.maxClosureSize} bytes`);
    }
  }
  for (const name of listNames) {
    const list = limits.references[name];
    if (list === undefined) continue;
    const specified = new Set(list.map((each) => parseSpecifier(context, each)));
    const used = new Set(name.endsWith("Requisites") ? closureOf(context, info).keys() : info.references);
    if (name.endsWith("Requisites") && limits.self === "ignored") used.delete(info.path);
    const bad = [...used].filter((path) => specified.has(path) !== name.startsWith("allowed")).sort();
    if (bad.length === 0) continue;
    const paths = bad.map((path) => `\n  ${showPath(context.store, path)}`).join("");
    fail(`output '${shown}' is not allowed to refer to the following paths:${paths}`);
  }
}

/** A store path, or an output of the derivation by name. */
function parseSpecifier({ store, infos }: CheckContext, text: ByteString): StorePath {
  if (isInStore(store.storeDir, text)) return parseFullStorePath(store.storeDir, text);
  const info = infos.get(text);
  return info?.path ?? fail(`derivation contains an illegal reference specifier '${text}'`);
}

/** Also over outputs that are not registered yet. */
function closureOf({ store, infos }: CheckContext, start: PathInfo): ReadonlyMap<StorePath, PathInfo> {
  const fresh = new Map([...infos.values()].map((info) => [info.path, info]));
  const closure = new Map<StorePath, PathInfo>();
  const registered = new Set<StorePath>();
  const todo = [start];
  for (let info = todo.pop(); info !== undefined; info = todo.pop()) {
    if (closure.has(info.path)) continue;
    closure.set(info.path, info);
    for (const reference of info.references) {
      const other = fresh.get(reference);
      if (other === undefined) registered.add(reference);
      else todo.push(other);
    }
  }
  if (registered.size > 0) {
    for (const [path, info] of queryPathInfos(store, computeClosure(store, registered))) closure.set(path, info);
  }
  return closure;
}

function fail(message: string): never {
  throw new BuildFailure("output-rejected", message);
}
