/**
 * Registering and asking for realisations (realisation.ts):
 *
 *     RegisterDrvOutput   before 1.31      string id, string base name of path
 *                         since            string JSON
 *                         by path          path of derivation, string output, path, set signatures
 *     QueryRealisation    before 1.31      string id                               reply: set paths, of 0 or 1
 *                         since            string id                               reply: set JSON, of 0 or 1
 *                         by path          path of derivation, string output       reply: u64 0 | u64 1, path, set signatures
 */
import { fromText } from "../byte-string.ts";
import type { Codec } from "../codec.ts";
import { parseStorePath, type StorePath } from "../store-path.ts";
import {
  type DrvOutput,
  parseDrvOutput,
  parseRealisation,
  printDrvOutput,
  printRealisation,
  type Realisation,
} from "./realisation.ts";
import { realisationByPath } from "./version.ts";
import { bool, set, storePath, storePaths, string, type WireContext, type WireType } from "./wire-type.ts";

/** How the two sides name a derivation. */
export type RealisationKey =
  | { readonly kind: "hash"; readonly id: DrvOutput }
  | { readonly kind: "path"; readonly drvPath: StorePath; readonly output: string };

export interface RealisedOutput {
  readonly path: StorePath;
  readonly signatures: readonly string[];
  readonly dependencies: Realisation["dependencies"];
}

export interface RegisteredRealisation extends RealisedOutput {
  readonly key: RealisationKey;
}

const strings = set(string as WireType<string>);
const none: ReadonlyMap<string, StorePath> = new Map();

export const registeredRealisation: WireType<RegisteredRealisation> = {
  *read(context, what) {
    if (context.features.has(realisationByPath)) {
      const key = yield* readKey(context, what);
      const path = yield* storePath.read(context, what);
      return { key, path, signatures: yield* strings.read(context, what), dependencies: none };
    }
    const text = yield* string.read(context, what);
    if (context.minor >= 31) {
      const { id, ...output } = parseRealisation(text);
      return { key: { kind: "hash", id }, ...output };
    }
    const path = parseStorePath(yield* string.read(context, what));
    return { key: { kind: "hash", id: parseDrvOutput(text) }, path, signatures: [], dependencies: none };
  },
  write(writer, { key, ...output }, context) {
    if (key.kind === "path") {
      writeKey(writer, key, context);
      storePath.write(writer, output.path, context);
      strings.write(writer, output.signatures, context);
    } else if (context.minor >= 31) writer.string(printRealisation({ id: key.id, ...output }));
    else writer.string(printDrvOutput(key.id)).string(output.path);
  },
};

export const realisationQuery: WireType<{ readonly key: RealisationKey }> = {
  *read(context, what) {
    return { key: yield* readKey(context, what) };
  },
  write: (writer, { key }, context) => writeKey(writer, key, context),
};

/** `id` is known in the form with JSON only; the first form knows nothing but the path. */
export interface FoundRealisation extends RealisedOutput {
  readonly id: DrvOutput | undefined;
}

export const realisationReply: WireType<FoundRealisation | undefined> = {
  *read(context, what) {
    if (context.features.has(realisationByPath)) {
      if (!(yield* bool.read(context, what))) return undefined;
      const path = yield* storePath.read(context, what);
      return { path, signatures: yield* strings.read(context, what), dependencies: none, id: undefined };
    }
    if (context.minor >= 31) {
      const [json] = yield* set(string).read(context, what);
      if (json === undefined) return undefined;
      return parseRealisation(json);
    }
    const [path] = yield* storePaths.read(context, what);
    return path === undefined ? undefined : { path, signatures: [], dependencies: none, id: undefined };
  },
  write(writer, value, context) {
    if (context.features.has(realisationByPath)) {
      writer.bool(value !== undefined);
      if (value === undefined) return;
      storePath.write(writer, value.path, context);
      strings.write(writer, value.signatures, context);
    } else if (context.minor >= 31) {
      if (value !== undefined && value.id === undefined) throw new Error("a realisation without its id");
      strings.write(writer, value?.id === undefined ? [] : [printRealisation({ ...value, id: value.id })], context);
    } else storePaths.write(writer, value === undefined ? [] : [value.path], context);
  },
};

function* readKey(context: WireContext, what: string): Codec<RealisationKey> {
  if (!context.features.has(realisationByPath))
    return { kind: "hash", id: parseDrvOutput(yield* string.read(context, what)) };
  const drvPath = yield* storePath.read(context, what);
  return { kind: "path", drvPath, output: yield* string.read(context, what) };
}

function writeKey(writer: Parameters<typeof string.write>[0], key: RealisationKey, context: WireContext): void {
  if (key.kind === "hash") {
    writer.string(printDrvOutput(key.id));
    return;
  }
  storePath.write(writer, key.drvPath, context);
  writer.string(fromText(key.output));
}
