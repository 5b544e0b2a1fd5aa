/** Derivations that fetch: run by the executable itself, so that a recipe needs no other program. */
import { checkOptions, describe, type OptionTable } from "./check-options.ts";
import type { Evaluation, KnownDerivation } from "./evaluation.ts";
import { makeDerivation } from "./make-derivation.ts";
import { RecipeError } from "./recipe-error.ts";
import { isStoreObject } from "./store-object.ts";

const hashOptions = { hash: "string", sha256: "string", sha512: "string", sha1: "string", md5: "string" } as const;

/** In the order in which Nix's function looks at them; `hash` says its algorithm itself. */
const algorithms = ["sha512", "sha1", "md5", "sha256"] as const;

/** Proxies are the caller's affair, since what comes out does not depend on them. */
const proxyVariables = ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"];

const fetchOptions: OptionTable = { ...hashOptions, url: "string", name: "string", executable: "boolean" };

/** The derivation of Nix's `<nix/fetchurl.nix>`. @throws RecipeError */
export function makeFetchurl(evaluation: Evaluation, given: unknown): KnownDerivation {
  const options = checkOptions("fetchurl", given, fetchOptions, ["url"]);
  const url = checkUrl("fetchurl", options["url"] as string);
  const executable = options["executable"] === true;
  return makeDerivation(evaluation, {
    name: (options["name"] as string | undefined) ?? nameOfUrl("fetchurl", url),
    builder: "builtin:fetchurl",
    system: "builtin",
    ...expectedHash("fetchurl", options),
    outputHashMode: executable ? "recursive" : "flat",
    env: { url, urls: [url], executable, unpack: false, preferLocalBuild: true, impureEnvVars: proxyVariables },
  });
}

/** The output path is that of Nix's `builtins.fetchTarball`, which fetches during evaluation. @throws RecipeError */
export function makeFetchTarball(evaluation: Evaluation, given: unknown): KnownDerivation {
  const options = checkOptions("fetchTarball", given, { ...hashOptions, url: "string", name: "string" }, ["url"]);
  const url = checkUrl("fetchTarball", options["url"] as string);
  return makeDerivation(evaluation, {
    name: (options["name"] as string | undefined) ?? "source",
    builder: "builtin:fetch-tarball",
    system: "builtin",
    ...expectedHash("fetchTarball", options),
    outputHashMode: "recursive",
    env: { url, urls: [url], preferLocalBuild: true, impureEnvVars: proxyVariables },
  });
}

/** @throws RecipeError */
export function makeUnpack(evaluation: Evaluation, archive: unknown, given: unknown = {}): KnownDerivation {
  const { name = "source" } = checkOptions("unpack", given, { name: "string" }, []);
  if (typeof archive !== "string" && !isStoreObject(archive)) {
    throw new RecipeError(`unpack: expected an archive, such as fetchurl gives, not ${describe(archive)}`);
  }
  return makeDerivation(evaluation, {
    name,
    builder: "builtin:unpack",
    system: "builtin",
    env: { src: archive, preferLocalBuild: true },
  });
}

function checkUrl(what: string, url: string): string {
  if (/^((https?|ftp|file):\/\/|data:)/.test(url)) return url;
  throw new RecipeError(`${what}: ${describe(url)} is no URL of the kind https:, http:, file: or data:`);
}

function nameOfUrl(what: string, url: string): string {
  const name = url.slice(url.lastIndexOf("/") + 1);
  if (/^[0-9A-Za-z+\-._?=]+$/.test(name)) return name;
  throw new RecipeError(
    `${what}: the last part of ${describe(url)} cannot be a name in the store; give one with 'name'`,
  );
}

/** @throws RecipeError when there are two */
function expectedHash(what: string, options: Readonly<Record<string, unknown>>): Record<string, string> {
  const given = Object.keys(hashOptions).filter((name) => options[name] !== undefined);
  if (given.length > 1) throw new RecipeError(`${what}: has both '${given[0]}' and '${given[1]}'; give one hash`);
  if (options["hash"]) return { outputHash: options["hash"] as string, outputHashAlgo: "" };
  const algorithm = algorithms.find((name) => options[name]) ?? "sha256";
  return { outputHash: (options[algorithm] as string | undefined) ?? "", outputHashAlgo: algorithm };
}
