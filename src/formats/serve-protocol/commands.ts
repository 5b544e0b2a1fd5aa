/**
 * The commands of the serve protocol 2.x: a number, arguments, a reply. A command that fails has no reply: the server prints why on standard
 * error and ends. Some are followed by data that is not part of the request or reply here:
 *
 *     dump-store-path      reply: a NAR
 *     import-paths         request: an export stream (export-stream.ts)
 *     export-paths         reply: an export stream
 *     add-to-store-nar     request: a NAR of exactly the stated size
 *
 * Numbers of minor versions are those of the serve protocol: 2 maxLogSize, 3 repeats and times, 4 hash, address and signatures in infos,
 * 5 add-to-store-nar, 6 built outputs, 7 keepFailed, 8 built outputs by path.
 */
import type { ByteString } from "../byte-string.ts";
import { type ContentAddress, parseOptionalContentAddress, printContentAddress } from "../content-address.ts";
import type { DerivedPath } from "../derivation-outputs.ts";
import { type Hash, parseHash, printHash } from "../hash.ts";
import type { StoreDir, StorePath } from "../store-path.ts";
import { BadWire } from "../wire.ts";
import { type NamedDerivation, namedDerivation } from "../worker-protocol/basic-derivation.ts";
import { derivedPaths } from "../worker-protocol/derived-path.ts";
import { fullUnkeyedPathInfo, type UnkeyedPathInfo } from "../worker-protocol/path-info.ts";
import { realisationByPath } from "../worker-protocol/version.ts";
import {
  bool,
  converted,
  int,
  list,
  optionalStorePath,
  record,
  set,
  since,
  size,
  storePath,
  storePaths,
  string,
  u64,
  type WireContext,
  type WireType,
} from "../worker-protocol/wire-type.ts";
import { serveBuildResult } from "./build-result.ts";

export interface Command<Request, Reply> {
  readonly code: number;
  readonly request: WireType<Request>;
  readonly reply: WireType<Reply>;
}

export type CommandRequest<C> = C extends Command<infer Request, infer _> ? Request : never;
export type CommandReply<C> = C extends Command<infer _, infer Reply> ? Reply : never;

/** What the types of the worker protocol need to know, with the minor version of this one. */
export function serveContext(storeDir: StoreDir, minor: number): WireContext {
  return { storeDir, minor, features: minor >= 8 ? new Set([realisationByPath]) : new Set() };
}

/** What a server knows of a valid path. */
export interface ServePathInfo {
  readonly path: StorePath;
  readonly deriver: StorePath | undefined;
  readonly references: readonly StorePath[];
  /** Bytes; undefined when not known, as the next. */
  readonly downloadSize: number | undefined;
  readonly narSize: number | undefined;
  /** The last three are there since 2.4. */
  readonly narHash: Hash | undefined;
  readonly contentAddress: ContentAddress | undefined;
  readonly signatures: readonly string[];
}

const knownSize: WireType<number | undefined> = converted(
  size,
  (bytes) => (bytes === 0 ? undefined : bytes),
  (bytes) => bytes ?? 0,
);

const narHash: WireType<Hash | undefined> = converted(
  string as WireType<string>,
  (text) => (text === "" ? undefined : parseHash(text)),
  (hash) => (hash === undefined ? "" : printHash(hash, "base32")),
);

/** An address of a kind that is not known here (of git trees, say) is passed over. */
const contentAddress: WireType<ContentAddress | undefined> = converted(
  string as WireType<string>,
  (text) => (text.startsWith("fixed:git:") ? undefined : parseOptionalContentAddress(text)),
  (address) => (address === undefined ? "" : printContentAddress(address)),
);

const noSignatures: readonly string[] = [];

const unkeyedPathInfo = record<Omit<ServePathInfo, "path">>({
  deriver: optionalStorePath,
  references: storePaths,
  downloadSize: knownSize,
  narSize: knownSize,
  narHash: since(4, narHash, undefined as Hash | undefined),
  contentAddress: since(4, contentAddress, undefined as ContentAddress | undefined),
  signatures: since(4, set(string as WireType<string>), noSignatures),
});

/** Infos, one after the other; then an empty string. Also the reply to 1.7's question. */
export const pathInfos: WireType<readonly ServePathInfo[]> = {
  *read(context) {
    const infos: ServePathInfo[] = [];
    for (;;) {
      const path = yield* optionalStorePath.read(context, "path of info");
      if (path === undefined) return infos;
      infos.push({ path, ...(yield* unkeyedPathInfo.read(context, "path info")) });
    }
  },
  write(writer, infos, context) {
    for (const { path, ...info } of infos) {
      storePath.write(writer, path, context);
      unkeyedPathInfo.write(writer, info, context);
    }
    writer.string("");
  },
};

/** What a client wants of builds. Times in seconds and size in bytes, 0 for no limit. */
export interface ServeBuildSettings {
  readonly maxSilentTimeSec: number;
  readonly buildTimeoutSec: number;
  readonly maxLogSize: number;
  readonly repeats: number;
  readonly enforceDeterminism: boolean;
  readonly keepFailed: boolean;
}

const buildSettings = record<ServeBuildSettings>({
  maxSilentTimeSec: int,
  buildTimeoutSec: int,
  maxLogSize: since(2, size, 0),
  repeats: since(3, int, 0),
  enforceDeterminism: since(3, bool, false),
  keepFailed: since(7, bool, false),
});

/** Success, or the exit status and message of the failure. */
export type BuildPathsReply =
  | { readonly kind: "built" }
  | { readonly kind: "failed"; readonly exitStatus: number; readonly message: ByteString };

const buildPathsReply: WireType<BuildPathsReply> = {
  *read(context, what) {
    const exitStatus = yield* int.read(context, `status of ${what}`);
    if (exitStatus === 0) return { kind: "built" };
    return { kind: "failed", exitStatus, message: yield* string.read(context, `message of ${what}`) };
  },
  write(writer, reply) {
    if (reply.kind === "built") writer.u64(0);
    else writer.u64(reply.exitStatus).string(reply.message);
  },
};

/** The derivations among targets always stand for outputs, whatever the version: as the worker protocol before 1.30. */
const targets: WireType<readonly DerivedPath[]> = {
  read: (context, what) => derivedPaths.read({ ...context, minor: 29 }, what),
  write: (writer, value, context) => derivedPaths.write(writer, value, { ...context, minor: 29 }),
};

const none: WireType<undefined> = {
  // biome-ignore lint/correctness/useYield: a codec that wants nothing
  *read() {
    return undefined;
  },
  write() {},
};

/** A 1 that says that it is done. */
const done: WireType<undefined> = {
  *read(context, what) {
    const value = yield* u64.read(context, what);
    if (value !== 1n) throw new BadWire(what, `expected 1, found ${value}`);
    return undefined;
  },
  write: (writer) => void writer.u64(1),
};

export interface AddToStoreNarRequest extends UnkeyedPathInfo {
  readonly path: StorePath;
  readonly narSize: number;
}

const addToStoreNarRequest: WireType<AddToStoreNarRequest> = {
  *read(context, what) {
    const path = yield* storePath.read(context, `path of ${what}`);
    const { narSize, ...info } = yield* fullUnkeyedPathInfo.read(context, what);
    if (narSize === undefined) throw new BadWire(`size of ${what}`, "it must not be 0");
    return { path, narSize, ...info };
  },
  write(writer, { path, ...info }, context) {
    storePath.write(writer, path, context);
    fullUnkeyedPathInfo.write(writer, info, context);
  },
};

export const commands = {
  /** `lock` makes the paths temporary roots of the server, `substitute` has it fetch them first; both only where writing is allowed. */
  queryValidPaths: command(
    1,
    record<{ lock: boolean; substitute: boolean; paths: readonly StorePath[] }>({
      lock: bool,
      substitute: bool,
      paths: storePaths,
    }),
    storePaths,
  ),
  /** Of those that are valid. */
  queryPathInfos: command(2, record<{ paths: readonly StorePath[] }>({ paths: storePaths }), pathInfos),
  dumpStorePath: command(3, record<{ path: StorePath }>({ path: storePath }), none),
  importPaths: command(4, none, done),
  /** Exactly these, in this order. `sign` is of 1.8. Gone in the newest Nix. */
  exportPaths: command(
    5,
    record<{ sign: boolean; paths: readonly StorePath[] }>({ sign: bool, paths: list(storePath) }),
    none,
  ),
  buildPaths: command(
    6,
    record<{ targets: readonly DerivedPath[]; settings: ServeBuildSettings }>({ targets, settings: buildSettings }),
    buildPathsReply,
  ),
  queryClosure: command(
    7,
    record<{ includeOutputs: boolean; paths: readonly StorePath[] }>({ includeOutputs: bool, paths: storePaths }),
    storePaths,
  ),
  /** Since 2.1. The derivation's inputs are all sources. */
  buildDerivation: command(
    8,
    record<{ drv: NamedDerivation; settings: ServeBuildSettings }>({ drv: namedDerivation, settings: buildSettings }),
    serveBuildResult,
  ),
  /** Since 2.5. */
  addToStoreNar: command(9, addToStoreNarRequest, done),
} as const;

export type CommandName = keyof typeof commands;

const nameByCode = new Map<number, CommandName>(
  (Object.keys(commands) as CommandName[]).map((name) => [commands[name].code, name]),
);

/** Undefined for a number that is none. */
export function commandName(code: number): CommandName | undefined {
  return nameByCode.get(code);
}

function command<Request, Reply>(
  code: number,
  request: WireType<Request>,
  reply: WireType<Reply>,
): Command<Request, Reply> {
  return { code, request, reply };
}
