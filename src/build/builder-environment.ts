/**
 * The environment of a builder: exactly this and nothing inherited. Later ones win. See build-sandbox, "Builder
 * environment".
 */
import { type ByteString, fromText } from "../formats/byte-string.ts";
import { type BasicDerivation, isFixedOutput } from "../formats/derivation/derivation.ts";
import { hashBytes, printBareHash } from "../formats/hash.ts";
import type { StoreDir } from "../formats/store-path.ts";
import type { Environment } from "../store/directories.ts";
import type { BuildDirectory } from "./build-directory.ts";
import { type DerivationAttributes, words } from "./derivation-attributes.ts";
import { rewriteString, type Rewrites } from "./rewrites.ts";

export interface EnvironmentContext {
  readonly storeDir: StoreDir;
  /** The setting as it is; 0 is for the builder to interpret. */
  readonly cores: number;
  /** Receives the files of `passAsFile`. */
  readonly directory: BuildDirectory;
  /** The directory's path as the builder sees it. */
  readonly directoryInside: string;
  readonly rewrites: Rewrites;
  /** The caller's, for `impureEnvVars`. */
  readonly callerEnv: Environment;
  /** `impure-env` */
  readonly impureEnv: ReadonlyMap<ByteString, ByteString>;
}

/** @throws SystemError */
export function builderEnvironment(
  drv: BasicDerivation,
  attributes: DerivationAttributes,
  context: EnvironmentContext,
): Map<ByteString, ByteString> {
  const env = new Map<string, string>();
  env.set("PATH", "/path-not-set");
  env.set("HOME", "/homeless-shelter");
  env.set("NIX_STORE", context.storeDir);
  env.set("NIX_BUILD_CORES", String(context.cores));
  if (attributes.structured === undefined) addAttributes(env, drv, context);
  for (const name of ["NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"]) {
    env.set(name, context.directoryInside);
  }
  if (isFixedOutput(drv)) {
    env.set("NIX_OUTPUT_CHECKED", "1");
    for (const name of attributes.strings("impureEnvVars") ?? []) env.set(name, impureValue(name, context));
  }
  env.set("NIX_LOG_FD", "2");
  env.set("TERM", "xterm-256color");
  return rewrittenEnvironment(env, context.rewrites);
}

function addAttributes(env: Map<string, string>, drv: BasicDerivation, context: EnvironmentContext): void {
  const passAsFile = new Set(words(drv.env.get("passAsFile" as ByteString) ?? ("" as ByteString)));
  for (const [name, value] of drv.env) {
    if (!passAsFile.has(name)) {
      env.set(name, value);
      continue;
    }
    const file = `.attr-${printBareHash(hashBytes("sha256", name), "base32")}`;
    context.directory.write(file, rewriteString(value, context.rewrites));
    env.set(`${name}Path`, `${context.directoryInside}/${file}`);
  }
}

function impureValue(name: ByteString, { callerEnv, impureEnv }: EnvironmentContext): string {
  return impureEnv.get(name) ?? fromText(callerEnv[name] ?? "");
}

function rewrittenEnvironment(env: ReadonlyMap<string, string>, rewrites: Rewrites): Map<ByteString, ByteString> {
  const result = new Map<ByteString, ByteString>();
  for (const [name, value] of env) {
    result.set(rewriteString(name as ByteString, rewrites), rewriteString(value as ByteString, rewrites));
  }
  return result;
}
