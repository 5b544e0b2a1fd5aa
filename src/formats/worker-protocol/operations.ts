/**
 * The requests of the worker protocol: a number, arguments, and after the messages (messages.ts) a reply. Some are followed by data, which
 * is not part of the request here:
 *
 *     nar      a NAR as it is, before the messages
 *     framed   frames (framed.ts), while messages already come
 *     pulled   the server asks for it with `read` messages
 *
 * 2, 15 and 17 were never used. 0 is Quit and exists only as disabled code. See worker-protocol.hh.
 */
import type { StorePath } from "../store-path.ts";
import type { ByteString } from "../byte-string.ts";
import { type ContentAddress, parseOptionalContentAddress, printContentAddress } from "../content-address.ts";
import type { DerivedPath } from "../derivation-outputs.ts";
import { addToStoreReply, addToStoreRequest } from "./add-to-store.ts";
import { namedDerivation } from "./basic-derivation.ts";
import { type BuildResult, buildResult } from "./build-result.ts";
import { collectionReply, collectionRequest } from "./collect-garbage.ts";
import { derivedPath, derivedPaths } from "./derived-path.ts";
import { fullUnkeyedPathInfo, type UnkeyedPathInfo, unkeyedPathInfo } from "./path-info.ts";
import { realisationQuery, realisationReply, registeredRealisation } from "./realisation-operations.ts";
import { clientOptions } from "./set-options.ts";
import {
  bool,
  bytesUpTo,
  changed,
  converted,
  list,
  map,
  maxTextBytes,
  nothing,
  oneOf,
  one,
  optionalStorePath,
  record,
  set,
  since,
  size,
  storePath,
  storePaths,
  string,
  type WireContext,
  type WireType,
} from "./wire-type.ts";

export type Upload = "none" | "nar" | "framed" | "pulled";

export interface Operation<Request, Reply> {
  readonly code: number;
  readonly request: WireType<Request>;
  readonly reply: WireType<Reply>;
  /** The data behind the request in this version. */
  upload(context: WireContext): Upload;
}

export type RequestOf<O> = O extends Operation<infer Request, infer _> ? Request : never;
export type ReplyOf<O> = O extends Operation<infer _, infer Reply> ? Reply : never;

/** Their positions are their numbers. */
export const buildModes = ["normal", "repair", "check"] as const;
const buildMode = oneOf(buildModes);

const pathOnly = record<{ path: StorePath }>({ path: storePath });

/** What substituters know of a path. */
export interface WireSubstitutableInfo {
  readonly deriver: StorePath | undefined;
  readonly references: readonly StorePath[];
  /** Bytes; 0 when not known. */
  readonly downloadSize: number;
  readonly narSize: number;
}

const substitutableInfo = record<WireSubstitutableInfo>({
  deriver: optionalStorePath,
  references: storePaths,
  downloadSize: size,
  narSize: since(7, size, 0),
});

const contentAddress: WireType<ContentAddress | undefined> = converted(
  string as WireType<string>,
  parseOptionalContentAddress,
  (address) => (address === undefined ? "" : printContentAddress(address)),
);

/** Since 1.22 with the content address of each path, so that another store can tell what it calls it. */
const pathsWithAddresses: WireType<ReadonlyMap<StorePath, ContentAddress | undefined>> = changed(
  22,
  converted(
    storePaths,
    (paths) => new Map(paths.map((path) => [path, undefined])),
    (addresses) => [...addresses.keys()],
  ),
  map(storePath, contentAddress),
);

/** A value, or u64 0 for none; with u64 1 in front. */
function optional<T>(type: WireType<T>): WireType<T | undefined> {
  return {
    *read(context, what) {
      return (yield* bool.read(context, what)) ? yield* type.read(context, what) : undefined;
    },
    write(writer, value, context) {
      bool.write(writer, value !== undefined, context);
      if (value !== undefined) type.write(writer, value, context);
    },
  };
}

/** Before 1.17 a path that is not valid is an error. */
const pathInfoReply: WireType<UnkeyedPathInfo | undefined> = changed<UnkeyedPathInfo | undefined>(
  17,
  unkeyedPathInfo as WireType<UnkeyedPathInfo | undefined>,
  optional(unkeyedPathInfo),
);

export const operations = {
  isValidPath: operation(1, pathOnly, bool),
  hasSubstitutes: operation(3, pathOnly, bool),
  queryPathHash: operation(4, pathOnly, string),
  queryReferences: operation(5, pathOnly, storePaths),
  queryReferrers: operation(6, pathOnly, storePaths),
  addToStore: operation(7, addToStoreRequest, addToStoreReply, ({ minor }) => (minor >= 25 ? "framed" : "nar")),
  addTextToStore: operation(
    8,
    record<{ name: ByteString; text: Uint8Array; references: readonly StorePath[] }>({
      name: string,
      text: bytesUpTo(maxTextBytes),
      references: storePaths,
    }),
    storePath,
  ),
  buildPaths: operation(
    9,
    record<{ targets: readonly DerivedPath[]; mode: (typeof buildModes)[number] }>({
      targets: derivedPaths,
      mode: since(15, buildMode, "normal"),
    }),
    one,
  ),
  ensurePath: operation(10, pathOnly, one),
  addTempRoot: operation(11, pathOnly, one),
  addIndirectRoot: operation(12, record<{ link: ByteString }>({ link: string }), one),
  syncWithGc: operation(13, nothing, one),
  findRoots: operation(
    14,
    nothing,
    list(record<{ link: ByteString; target: StorePath }>({ link: string, target: storePath })),
  ),
  exportPath: operation(16, record<{ path: StorePath; sign: boolean }>({ path: storePath, sign: bool }), one),
  queryDeriver: operation(18, pathOnly, optionalStorePath),
  setOptions: operation(19, clientOptions, nothing),
  collectGarbage: operation(20, collectionRequest, collectionReply),
  querySubstitutablePathInfo: operation(21, pathOnly, optional(substitutableInfo)),
  queryDerivationOutputs: operation(22, pathOnly, storePaths),
  queryAllValidPaths: operation(23, nothing, storePaths),
  queryFailedPaths: operation(24, nothing, storePaths),
  /** `*` among the paths means all. */
  clearFailedPaths: operation(25, record<{ paths: readonly ByteString[] }>({ paths: set(string) }), one),
  queryPathInfo: operation(26, pathOnly, pathInfoReply),
  importPaths: operation(27, nothing, list(storePath), () => "pulled"),
  queryDerivationOutputNames: operation(28, pathOnly, set(string)),
  queryPathFromHashPart: operation(29, record<{ hashPart: ByteString }>({ hashPart: string }), optionalStorePath),
  querySubstitutablePathInfos: operation(
    30,
    record<{ paths: ReadonlyMap<StorePath, ContentAddress | undefined> }>({ paths: pathsWithAddresses }),
    map(storePath, substitutableInfo),
  ),
  queryValidPaths: operation(
    31,
    record<{ paths: readonly StorePath[]; substitute: boolean }>({
      paths: storePaths,
      substitute: since(27, bool, false),
    }),
    storePaths,
  ),
  querySubstitutablePaths: operation(32, record<{ paths: readonly StorePath[] }>({ paths: storePaths }), storePaths),
  queryValidDerivers: operation(33, pathOnly, storePaths),
  optimiseStore: operation(34, nothing, one),
  verifyStore: operation(
    35,
    record<{ checkContents: boolean; repair: boolean }>({ checkContents: bool, repair: bool }),
    bool,
  ),
  buildDerivation: operation(
    36,
    record<{
      derivation: typeof namedDerivation extends WireType<infer T> ? T : never;
      mode: (typeof buildModes)[number];
    }>({
      derivation: namedDerivation,
      mode: buildMode,
    }),
    buildResult,
  ),
  addSignatures: operation(
    37,
    record<{ path: StorePath; signatures: readonly ByteString[] }>({ path: storePath, signatures: set(string) }),
    one,
  ),
  /** The reply is a NAR. */
  narFromPath: operation(38, pathOnly, nothing),
  addToStoreNar: operation(
    39,
    record<{ path: StorePath; info: UnkeyedPathInfo; repair: boolean; skipSignatures: boolean }>({
      path: storePath,
      info: fullUnkeyedPathInfo,
      repair: bool,
      skipSignatures: bool,
    }),
    nothing,
    ({ minor }) => (minor >= 23 ? "framed" : minor >= 21 ? "pulled" : "nar"),
  ),
  queryMissing: operation(
    40,
    record<{ targets: readonly DerivedPath[] }>({ targets: derivedPaths }),
    record<{
      willBuild: readonly StorePath[];
      willSubstitute: readonly StorePath[];
      unknown: readonly StorePath[];
      downloadSize: number;
      narSize: number;
    }>({ willBuild: storePaths, willSubstitute: storePaths, unknown: storePaths, downloadSize: size, narSize: size }),
  ),
  /** An output whose path is not known yet has none. */
  queryDerivationOutputMap: operation(41, pathOnly, map(string, optionalStorePath)),
  registerDrvOutput: operation(42, registeredRealisation, nothing),
  queryRealisation: operation(43, realisationQuery, realisationReply),
  /** In the frames: u64 n, then n times a path info (path-info.ts, fullPathInfo) and a NAR. */
  addMultipleToStore: operation(
    44,
    record<{ repair: boolean; skipSignatures: boolean }>({ repair: bool, skipSignatures: bool }),
    nothing,
    () => "framed",
  ),
  /** `drv` is a base name. */
  addBuildLog: operation(45, record<{ drv: ByteString }>({ drv: string }), one, () => "framed"),
  buildPathsWithResults: operation(
    46,
    record<{ targets: readonly DerivedPath[]; mode: (typeof buildModes)[number] }>({
      targets: derivedPaths,
      mode: buildMode,
    }),
    list(record<{ target: DerivedPath; result: BuildResult }>({ target: derivedPath, result: buildResult })),
  ),
  addPermRoot: operation(47, record<{ path: StorePath; root: ByteString }>({ path: storePath, root: string }), string),
} as const;

export type OperationName = keyof typeof operations;

const nameByCode = new Map<number, OperationName>(
  (Object.keys(operations) as OperationName[]).map((name) => [operations[name].code, name]),
);

/** Undefined for a number that is none. */
export function operationName(code: number): OperationName | undefined {
  return nameByCode.get(code);
}

function operation<Request, Reply>(
  code: number,
  request: WireType<Request>,
  reply: WireType<Reply>,
  upload: (context: WireContext) => Upload = () => "none",
): Operation<Request, Reply> {
  return { code, request, reply, upload };
}
