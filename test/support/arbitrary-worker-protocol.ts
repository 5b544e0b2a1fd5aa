/** Generators of requests, replies and messages of the worker protocol, for every version of it. */
import fc from "fast-check";
import { fromText } from "../../src/formats/byte-string.ts";
import type { ContentAddress } from "../../src/formats/content-address.ts";
import type { DerivedPath } from "../../src/formats/derivation-outputs.ts";
import { type BuildResult, buildStatuses } from "../../src/formats/worker-protocol/build-result.ts";
import { collectActions } from "../../src/formats/worker-protocol/collect-garbage.ts";
import type { Message } from "../../src/formats/worker-protocol/messages.ts";
import {
  buildModes,
  type OperationName,
  type operations,
  type ReplyOf,
  type RequestOf,
} from "../../src/formats/worker-protocol/operations.ts";
import type { WirePathInfo } from "../../src/formats/worker-protocol/path-info.ts";
import {
  deleteReferrers,
  newestMinor,
  oldestMinor,
  realisationByPath,
} from "../../src/formats/worker-protocol/version.ts";
import type { WireContext } from "../../src/formats/worker-protocol/wire-type.ts";
import { arbitraryDerivation, arbitraryOutputId, arbitraryWantedOutputs } from "./arbitrary-derivation.ts";
import {
  arbitraryByteString,
  arbitraryDrvPath,
  arbitraryHash,
  arbitraryHashOf,
  arbitraryName,
  arbitraryStorePath,
  nixStore,
} from "./arbitrary-store-path.ts";

export const arbitraryContext: fc.Arbitrary<WireContext> = fc
  .tuple(fc.integer({ min: oldestMinor, max: newestMinor }), fc.subarray([deleteReferrers, realisationByPath]))
  .map(([minor, features]) => ({ storeDir: nixStore, minor, features: new Set(minor >= 38 ? features : []) }));

/** With the prototype that values read from the wire have. */
function record<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(fields, { noNullPrototype: true });
}

const size = fc.oneof(fc.constantFrom(0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER), fc.nat());
const int = fc.oneof(fc.constantFrom(0, 1, 2 ** 32 - 1), fc.nat());
const paths = fc.uniqueArray(arbitraryStorePath, { maxLength: 4 }).map((each) => each.sort());
const strings = fc.uniqueArray(arbitraryByteString, { maxLength: 3 }).map((each) => each.sort());
const optionalPath = fc.option(arbitraryStorePath, { nil: undefined });
const outputName = arbitraryOutputId.map(fromText);

const address: fc.Arbitrary<ContentAddress> = fc.oneof(
  arbitraryHashOf("sha256").map((hash) => ({ kind: "text", hash }) as const),
  record({ kind: fc.constant("fixed"), method: fc.constantFrom("flat", "recursive"), hash: arbitraryHash }),
);
const optionalAddress = fc.option(address, { nil: undefined });

const drvHash = arbitraryHashOf("sha256").map(({ bytes }) => `sha256:${Buffer.from(bytes).toString("hex")}`);

export function arbitraryPathInfo({ minor }: { readonly minor: number }): fc.Arbitrary<WirePathInfo> {
  const has = minor >= 16;
  return record({
    path: arbitraryStorePath,
    narHash: arbitraryHashOf("sha256"),
    narSize: size.map((bytes) => (bytes === 0 ? undefined : bytes)),
    references: paths,
    deriver: optionalPath,
    registrationTimeSec: size,
    ultimate: has ? fc.boolean() : fc.constant(false),
    signatures: has ? strings : fc.constant([]),
    contentAddress: has ? optionalAddress : fc.constant(undefined),
  });
}

function withoutPath<T extends { path: unknown }>(info: T): Omit<T, "path"> {
  const { path: _, ...rest } = info;
  return rest;
}

/** Only what the version can say. */
function derivedPath({ minor }: WireContext): fc.Arbitrary<DerivedPath> {
  const all = { kind: "all" } as const;
  return fc.oneof(
    arbitraryStorePath.filter((path) => !path.endsWith(".drv")).map((path): DerivedPath => ({ kind: "opaque", path })),
    fc
      .tuple(arbitraryDrvPath, minor < 13 ? fc.constant(all) : arbitraryWantedOutputs)
      .map(([drvPath, outputs]): DerivedPath => ({ kind: "built", drvPath, outputs })),
  );
}

const microseconds = fc.option(fc.integer(), { nil: undefined });

export function arbitraryBuildResult({ minor, features }: WireContext): fc.Arbitrary<BuildResult> {
  const output = record({
    path: arbitraryStorePath,
    signatures: fc.uniqueArray(arbitraryName, { maxLength: 2 }).map((each) => each.sort()),
    drvHash: features.has(realisationByPath) ? fc.constant(undefined) : fc.option(drvHash, { nil: undefined }),
  });
  return record({
    status: fc.constantFrom(...buildStatuses),
    errorMessage: arbitraryByteString,
    timesBuilt: minor >= 29 ? int : fc.constant(0),
    isNonDeterministic: minor >= 29 ? fc.boolean() : fc.constant(false),
    startTimeSec: minor >= 29 ? size : fc.constant(0),
    stopTimeSec: minor >= 29 ? size : fc.constant(0),
    cpuUserUs: minor >= 37 ? microseconds : fc.constant(undefined),
    cpuSystemUs: minor >= 37 ? microseconds : fc.constant(undefined),
    builtOutputs:
      minor >= 28
        ? fc.array(fc.tuple(arbitraryOutputId, output), { maxLength: 3 }).map((entries) => new Map(entries))
        : fc.constant(new Map()),
  });
}

type Exchange<N extends OperationName> = {
  readonly request: fc.Arbitrary<RequestOf<(typeof operations)[N]>>;
  readonly reply: fc.Arbitrary<ReplyOf<(typeof operations)[N]>>;
};

/** Requests and replies of every operation that this version can hold. */
export function arbitraryExchanges(context: WireContext): { readonly [N in OperationName]: Exchange<N> } {
  const { minor, features } = context;
  const none = fc.constant(undefined);
  const path = record({ path: arbitraryStorePath });
  const mode = fc.constantFrom(...buildModes);
  const targets = fc.array(derivedPath(context), { maxLength: 3 });
  const unkeyed = arbitraryPathInfo(context).map(withoutPath);
  const substitutable = record({ deriver: optionalPath, references: paths, downloadSize: size, narSize: size });
  const pathMap = <T>(value: fc.Arbitrary<T>) =>
    fc.array(fc.tuple(arbitraryStorePath, value), { maxLength: 3 }).map((entries) => new Map(entries));
  const byPath = features.has(realisationByPath);
  const id = record({ drvHash, output: arbitraryOutputId });
  const key = byPath
    ? record({ kind: fc.constant("path" as const), drvPath: arbitraryDrvPath, output: arbitraryOutputId })
    : record({ kind: fc.constant("hash" as const), id });
  const dependencies = fc
    .array(fc.tuple(id, arbitraryStorePath), { maxLength: 2 })
    .map((entries) => new Map(entries.map(([each, to]) => [`${each.drvHash}!${each.output}`, to])));
  const utf8Strings = fc.uniqueArray(arbitraryName, { maxLength: 2 }).map((each) => each.sort());
  const realised = record({
    path: arbitraryStorePath,
    signatures: byPath || minor >= 31 ? utf8Strings : fc.constant([]),
    dependencies: !byPath && minor >= 31 ? dependencies : fc.constant(new Map()),
  });
  const method = fc.oneof(
    record({
      kind: fc.constant("fixed" as const),
      method: fc.constantFrom("flat" as const, "recursive" as const),
      hashAlgo: fc.constantFrom("md5" as const, "sha1" as const, "sha256" as const, "sha512" as const),
    }),
    ...(minor >= 25 ? [fc.constant({ kind: "text", hashAlgo: "sha256" } as const)] : []),
  );
  const deletion = features.has(deleteReferrers)
    ? fc.oneof(
        record({ paths, referrers: fc.constantFrom("delete" as const, "keep" as const) }),
        fc.constant({ paths: "all", referrers: "keep" } as const),
      )
    : record({ paths, referrers: fc.constant("keep" as const) });
  return {
    isValidPath: { request: path, reply: fc.boolean() },
    hasSubstitutes: { request: path, reply: fc.boolean() },
    queryPathHash: { request: path, reply: arbitraryByteString },
    queryReferences: { request: path, reply: paths },
    queryReferrers: { request: path, reply: paths },
    addToStore: {
      request: record({
        name: arbitraryByteString,
        method,
        references: minor >= 25 ? paths : fc.constant([]),
        repair: minor >= 25 ? fc.boolean() : fc.constant(false),
      }),
      reply: arbitraryPathInfo(context).map((info) => ({ path: info.path, info: minor >= 25 ? info : undefined })),
    },
    addTextToStore: {
      request: record({ name: arbitraryByteString, text: fc.uint8Array(), references: paths }),
      reply: arbitraryStorePath,
    },
    buildPaths: {
      request: record({ targets, mode: minor >= 15 ? mode : fc.constant("normal" as const) }),
      reply: none,
    },
    ensurePath: { request: path, reply: none },
    addTempRoot: { request: path, reply: none },
    addIndirectRoot: { request: record({ link: arbitraryByteString }), reply: none },
    syncWithGc: { request: none, reply: none },
    findRoots: { request: none, reply: fc.array(record({ link: arbitraryByteString, target: arbitraryStorePath })) },
    exportPath: { request: record({ path: arbitraryStorePath, sign: fc.boolean() }), reply: none },
    queryDeriver: { request: path, reply: optionalPath },
    setOptions: {
      request: record({
        keepFailed: fc.boolean(),
        keepGoing: fc.boolean(),
        tryFallback: fc.boolean(),
        verbosity: int,
        maxBuildJobs: int,
        maxSilentTimeSec: int,
        useBuildHook: fc.boolean(),
        buildVerbosity: int,
        logType: int,
        printBuildTrace: int,
        buildCores: int,
        useSubstitutes: fc.boolean(),
        overrides: minor >= 12 ? fc.array(fc.tuple(arbitraryByteString, arbitraryByteString)) : fc.constant([]),
      }),
      reply: none,
    },
    collectGarbage: {
      request: record({
        action: fc.constantFrom(...collectActions),
        toDelete: deletion,
        ignoreLiveness: fc.boolean(),
        maxFreed: fc.option(size, { nil: undefined }),
      }),
      reply: record({ paths: strings, bytesFreed: size }),
    },
    querySubstitutablePathInfo: { request: path, reply: fc.option(substitutable, { nil: undefined }) },
    queryDerivationOutputs: { request: path, reply: paths },
    queryAllValidPaths: { request: none, reply: paths },
    queryFailedPaths: { request: none, reply: paths },
    clearFailedPaths: { request: record({ paths: strings }), reply: none },
    queryPathInfo: { request: path, reply: minor >= 17 ? fc.option(unkeyed, { nil: undefined }) : unkeyed },
    importPaths: { request: none, reply: fc.array(arbitraryStorePath) },
    queryDerivationOutputNames: { request: path, reply: strings },
    queryPathFromHashPart: { request: record({ hashPart: arbitraryByteString }), reply: optionalPath },
    querySubstitutablePathInfos: {
      request: record({ paths: pathMap(minor >= 22 ? optionalAddress : none) }),
      reply: pathMap(substitutable),
    },
    queryValidPaths: {
      request: record({ paths, substitute: minor >= 27 ? fc.boolean() : fc.constant(false) }),
      reply: paths,
    },
    querySubstitutablePaths: { request: record({ paths }), reply: paths },
    queryValidDerivers: { request: path, reply: paths },
    optimiseStore: { request: none, reply: none },
    verifyStore: { request: record({ checkContents: fc.boolean(), repair: fc.boolean() }), reply: fc.boolean() },
    buildDerivation: {
      request: record({
        derivation: arbitraryDerivation.map(({ inputDrvs: _, ...derivation }) => ({
          drvPath: `${"0".repeat(32)}-${derivation.name}.drv` as typeof arbitraryDrvPath extends fc.Arbitrary<infer P>
            ? P
            : never,
          derivation,
        })),
        mode,
      }),
      reply: arbitraryBuildResult(context),
    },
    addSignatures: { request: record({ path: arbitraryStorePath, signatures: strings }), reply: none },
    narFromPath: { request: path, reply: none },
    addToStoreNar: {
      request: record({
        path: arbitraryStorePath,
        info: arbitraryPathInfo({ minor: newestMinor }).map(withoutPath),
        repair: fc.boolean(),
        skipSignatures: fc.boolean(),
      }),
      reply: none,
    },
    queryMissing: {
      request: record({ targets }),
      reply: record({
        willBuild: paths,
        willSubstitute: paths,
        unknown: paths,
        downloadSize: size,
        narSize: size,
      }),
    },
    queryDerivationOutputMap: {
      request: path,
      reply: fc.array(fc.tuple(outputName, optionalPath), { maxLength: 3 }).map((entries) => new Map(entries)),
    },
    registerDrvOutput: {
      request: fc.tuple(key, realised).map(([each, output]) => ({ key: each, ...output })),
      reply: none,
    },
    queryRealisation: {
      request: record({ key }),
      reply: fc.option(
        fc.tuple(realised, !byPath && minor >= 31 ? id : none).map(([output, each]) => ({ ...output, id: each })),
        { nil: undefined },
      ),
    },
    addMultipleToStore: {
      request: record({ repair: fc.boolean(), skipSignatures: fc.boolean() }),
      reply: none,
    },
    addBuildLog: { request: record({ drv: arbitraryByteString }), reply: none },
    buildPathsWithResults: {
      request: record({ targets, mode }),
      reply: fc.array(record({ target: derivedPath(context), result: arbitraryBuildResult(context) }), {
        maxLength: 2,
      }),
    },
    addPermRoot: {
      request: record({ path: arbitraryStorePath, root: arbitraryByteString }),
      reply: arbitraryByteString,
    },
  };
}

export function arbitraryMessage({ minor }: WireContext): fc.Arbitrary<Message> {
  const fields = fc.array(fc.oneof(arbitraryByteString, size), { maxLength: 3 });
  const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const failure = record({
    message: arbitraryByteString,
    exitStatus: minor >= 26 ? fc.constantFrom(undefined, 2, 100, 104) : fc.nat({ max: 255 }),
    traces: minor >= 26 ? fc.array(arbitraryByteString, { maxLength: 2 }) : fc.constant([]),
  });
  const plain: fc.Arbitrary<Message>[] = [
    record({ kind: fc.constant("next"), text: arbitraryByteString }),
    record({ kind: fc.constant("read"), maxBytes: size }),
    record({ kind: fc.constant("write"), data: fc.uint8Array().map((data) => Buffer.from(data)) }),
    fc.constant({ kind: "last" }),
    record({ kind: fc.constant("error"), failure }),
  ];
  const structured: fc.Arbitrary<Message>[] = [
    record({
      kind: fc.constant("start-activity"),
      id,
      level: int,
      type: int,
      text: arbitraryByteString,
      fields,
      parent: id,
    }),
    record({ kind: fc.constant("stop-activity"), id }),
    record({ kind: fc.constant("result"), id, type: int, fields }),
  ];
  return fc.oneof(...plain, ...(minor >= 20 ? structured : []));
}
