/**
 * The commands of the serve protocol 1.1, which download-via-ssh of Nix 1.7 speaks. One a connection:
 *
 *     u64 0, then until the end of input:
 *         u64 0, list paths    the valid ones, as a list
 *         u64 1, list paths    infos (commands.ts, `pathInfos` of minor version 0)
 *     u64 1, path              a NAR, and the server ends
 */
import type { Codec } from "../codec.ts";
import type { StorePath } from "../store-path.ts";
import { BadWire, readNumber, WireWriter } from "../wire.ts";
import { storePath, storePaths, type WireContext } from "../worker-protocol/wire-type.ts";

export type OldCommand = { readonly kind: "query" } | { readonly kind: "substitute"; readonly path: StorePath };

export type OldQuery = { readonly kind: "have" | "info"; readonly paths: readonly StorePath[] };

/** @throws BadWire */
export function* readOldCommand(context: WireContext): Codec<OldCommand> {
  const code = yield* readNumber("command", 0xffff_ffff);
  if (code === 0) return { kind: "query" };
  if (code === 1) return { kind: "substitute", path: yield* storePath.read(context, "path to substitute") };
  throw new BadWire("command", `unknown serve command ${code}`);
}

/** @throws BadWire */
export function* readOldQuery(context: WireContext): Codec<OldQuery> {
  const code = yield* readNumber("query", 0xffff_ffff);
  if (code > 1) throw new BadWire("query", `unknown serve query ${code}`);
  return { kind: code === 0 ? "have" : "info", paths: yield* storePaths.read(context, "paths of query") };
}

/** @param place the first question of a connection has the command in front */
export function encodeOldQuery(context: WireContext, { kind, paths }: OldQuery, place: "begin" | "go-on"): Uint8Array {
  const writer = new WireWriter();
  if (place === "begin") writer.u64(0);
  storePaths.write(writer.u64(kind === "have" ? 0 : 1), paths, context);
  return writer.take();
}

export function encodeOldSubstitute(context: WireContext, path: StorePath): Uint8Array {
  const writer = new WireWriter().u64(1);
  storePath.write(writer, path, context);
  return writer.take();
}
