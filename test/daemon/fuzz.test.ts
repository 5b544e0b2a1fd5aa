/** Damaged conversations: whatever is sent, the server answers or ends, and nothing becomes valid that should not. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SiloError } from "../../src/error.ts";
import { fromText } from "../../src/formats/byte-string.ts";
import { type ContentAddress, printContentAddress } from "../../src/formats/content-address.ts";
import { hashBytes } from "../../src/formats/hash.ts";
import { makeContentAddressedPath } from "../../src/formats/make-store-path.ts";
import { encodeNar } from "../../src/formats/nar/tree.ts";
import { nameOf, printStorePath, type StoreDir } from "../../src/formats/store-path.ts";
import { WireWriter } from "../../src/formats/wire.ts";
import { type OperationName, operations } from "../../src/formats/worker-protocol/operations.ts";
import { fullPathInfo, type WirePathInfo } from "../../src/formats/worker-protocol/path-info.ts";
import { newestMinor, oldestMinor } from "../../src/formats/worker-protocol/version.ts";
import type { WireContext, WireType } from "../../src/formats/worker-protocol/wire-type.ts";
import { addText } from "../../src/store/add.ts";
import type { BuildService } from "../../src/store/build-service.ts";
import { queryAllPathInfos } from "../../src/store/queries.ts";
import { hashTree } from "../../src/store/tree/nar-hash.ts";
import { arbitraryTree } from "../support/arbitrary-tree.ts";
import { arbitraryExchanges, arbitraryPathInfo } from "../support/arbitrary-worker-protocol.ts";
import { contextOf, framed, greeting, serveBytes } from "../support/daemon-conversation.ts";
import { settledDatabase, withDaemon } from "../support/running-daemon.ts";
import { createTempStore } from "../support/temp-store.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";

const isLong = process.env["SILO_LONG"] === "1";
const conversations = isLong ? 100_000 : 2_000;
const connections = isLong ? 2_000 : 80;
/** Of these. */
const atOnce = 8;
const names = Object.keys(operations) as OperationName[];

function encode(type: WireType<unknown>, value: unknown, context: WireContext): Uint8Array {
  const writer = new WireWriter();
  type.write(writer, value, context);
  return writer.take();
}

/** What may follow a request as data. */
function arbitraryData(name: OperationName, context: WireContext): fc.Arbitrary<Uint8Array> {
  const nar = arbitraryTree.map(encodeNar);
  const inFrames = (contents: fc.Arbitrary<Uint8Array>) => contents.map(framed);
  const strings = (contents: Uint8Array) => new WireWriter().bytes(contents).take();
  switch (operations[name].upload(context)) {
    case "none":
      return fc.constant(new Uint8Array(0));
    case "nar":
      return nar;
    case "pulled":
      return nar.map(strings);
    case "framed":
      if (name !== "addMultipleToStore") return inFrames(fc.oneof(nar, fc.uint8Array()));
      return inFrames(
        fc.tuple(arbitraryPathInfo({ minor: newestMinor }), nar).map(([info, contents]) => {
          const writer = new WireWriter().u64(1);
          fullPathInfo.write(writer, info, context);
          return Buffer.concat([writer.take(), contents]);
        }),
      );
  }
}

interface Incoming {
  readonly info: WirePathInfo;
  readonly nar: Uint8Array;
}

const recursive = { kind: "fixed", method: "recursive" } as const;

/** Contents that vouch for themselves, or with a lie in one place: the second kind must never become valid. */
function arbitraryIncoming({ storeDir }: WireContext): fc.Arbitrary<Incoming> {
  const trees = fc
    .tuple(arbitraryTree, arbitraryTree)
    .map(([tree, other]) => [encodeNar(tree), encodeNar(other)] as const);
  const foreign = arbitraryPathInfo({ minor: newestMinor });
  const lie = fc.constantFrom(
    "none",
    "none",
    "path",
    "narHash",
    "narSize",
    "contents",
    "address",
    "address and path",
    "references",
  );
  return fc.tuple(trees, foreign, lie, fc.boolean()).map(([[nar, other], foreign, lie, ultimate]) => {
    const hash = hashBytes("sha256", nar);
    const honest: WirePathInfo = {
      path: makeContentAddressedPath(storeDir, nameOf(foreign.path), { ...recursive, hash }),
      narHash: hash,
      narSize: nar.length,
      references: [],
      deriver: foreign.deriver,
      registrationTimeSec: foreign.registrationTimeSec,
      ultimate,
      signatures: [],
      contentAddress: { ...recursive, hash },
    };
    if (lie === "contents") return { info: honest, nar: other };
    if (lie === "path") return { info: { ...honest, path: foreign.path }, nar };
    if (lie === "narHash") return { info: { ...honest, narHash: foreign.narHash }, nar };
    if (lie === "narSize") return { info: { ...honest, narSize: foreign.narSize }, nar };
    if (lie === "address") return { info: { ...honest, contentAddress: foreign.contentAddress }, nar };
    if (lie === "address and path") {
      const contentAddress: ContentAddress = foreign.contentAddress ?? { ...recursive, hash: foreign.narHash };
      const path = makeContentAddressedPath(storeDir, nameOf(foreign.path), contentAddress);
      return { info: { ...honest, path, contentAddress }, nar };
    }
    if (lie === "references") return { info: { ...honest, references: [honest.path] }, nar };
    return { info: honest, nar };
  });
}

function arbitraryAddition(context: WireContext): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(fc.array(arbitraryIncoming(context), { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([items, skip]) => {
      const writer = new WireWriter();
      if (context.minor >= 32) {
        const several = new WireWriter().u64(items.length);
        for (const { info, nar } of items) {
          fullPathInfo.write(several, info, { ...context, minor: 16 });
          several.raw(nar);
        }
        const request = { repair: false, skipSignatures: skip };
        operations.addMultipleToStore.request.write(writer.u64(operations.addMultipleToStore.code), request, context);
        return Buffer.concat([writer.take(), framed(several.take())]);
      }
      const { info, nar } = items[0]!;
      const { code, request, upload } = operations.addToStoreNar;
      request.write(writer.u64(code), { path: info.path, info, repair: false, skipSignatures: skip }, context);
      const kind = upload(context);
      const data = kind === "framed" ? framed(nar) : kind === "pulled" ? new WireWriter().bytes(nar).take() : nar;
      return Buffer.concat([writer.take(), data]);
    });
}

function arbitraryRequest(context: WireContext): fc.Arbitrary<Uint8Array> {
  return fc.constantFrom(...names).chain((name) => {
    const exchange = arbitraryExchanges(context)[name].request as fc.Arbitrary<unknown>;
    return fc.tuple(exchange, arbitraryData(name, context)).map(([value, data]) => {
      const head = new WireWriter().u64(operations[name].code).take();
      return Buffer.concat([head, encode(operations[name].request as WireType<unknown>, value, context), data]);
    });
  });
}

const arbitraryEdit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  kind: fc.constantFrom("byte", "word", "cut", "double", "remove"),
  byte: fc.integer({ min: 0, max: 255 }),
  word: fc.constantFrom(0n, 1n, 8n, 255n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 60n, 2n ** 64n - 1n),
});

function damage(
  bytes: Uint8Array,
  edits: readonly (typeof arbitraryEdit extends fc.Arbitrary<infer E> ? E : never)[],
): Uint8Array {
  let whole = Buffer.from(bytes);
  for (const { at, kind, byte, word } of edits) {
    if (whole.length === 0) break;
    const index = Math.min(whole.length - 1, Math.floor(at * whole.length));
    const aligned = index & ~7;
    if (kind === "byte") whole[index] = byte;
    else if (kind === "word" && aligned + 8 <= whole.length) whole.writeBigUInt64LE(word, aligned);
    else if (kind === "cut") whole = whole.subarray(0, index);
    else if (kind === "double") whole = Buffer.concat([whole.subarray(0, index), whole]);
    else whole = Buffer.concat([whole.subarray(0, aligned), whole.subarray(aligned + 8)]);
  }
  return Uint8Array.from(whole);
}

/** Services that do nothing, and tell nothing wrong. */
const idle: Partial<BuildService> = {
  buildPaths: async () => {},
  buildPathsWithResults: async () => [],
  ensurePath: async () => {},
  repairPath: async () => {},
  queryMissing: async () => ({ willBuild: [], willSubstitute: [], unknown: [], downloadSize: 0, narSize: 0 }),
  querySubstitutablePaths: async () => new Set(),
  querySubstitutablePathInfos: async () => new Map(),
};

function arbitraryConversation(storeDir: StoreDir) {
  return fc.integer({ min: oldestMinor, max: newestMinor }).chain((minor) => {
    const context = contextOf({ directories: { storeDir } }, minor);
    return fc
      .tuple(
        fc.array(fc.oneof({ weight: 3, arbitrary: arbitraryRequest(context) }, arbitraryAddition(context)), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.array(arbitraryEdit, { maxLength: 4 }),
      )
      .map(([requests, edits]) => {
        const body = damage(Buffer.concat(requests), edits);
        return Buffer.concat([greeting(minor), body]);
      });
  });
}

/** The path follows from what is there, whatever the client has said. */
function assertAddressed({ directories: { storeDir } }: StoreFixture, info: WirePathInfo): void {
  const { path, references } = info;
  const address = info.contentAddress!;
  const file = printStorePath(storeDir as StoreDir, path);
  const isFlat = address.kind === "text" || address.method === "flat";
  const { algo } = address.hash;
  const hash = isFlat ? hashBytes(algo, readFileSync(file)) : hashTree(file, algo).hash;
  const found: ContentAddress = { ...address, hash };
  assert.equal(printContentAddress(address), printContentAddress(found), path);
  const self = references.includes(path) ? "self" : "no-self";
  const others = references.filter((reference) => reference !== path);
  assert.equal(self, "no-self", fromText(`${path} refers to itself`));
  assert.equal(makeContentAddressedPath(storeDir as StoreDir, nameOf(path), found, { others, self }), path);
}

function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** Nobody is served: the daemon's children are the two that wait. */
async function nobodyServed(pid: number): Promise<void> {
  const children = () => readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
  while (children().length !== 2) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Says it all, and hears until the server closes. */
async function say(socket: string, bytes: Uint8Array): Promise<void> {
  const connection = createConnection(socket);
  connection.on("error", () => {}); // it closes while we are speaking
  connection.resume();
  connection.end(bytes);
  await once(connection, "close");
}

describe("damaged conversations", () => {
  test("end, with an answer or an error, and register nothing that is not vouched for", { timeout: 3_600_000 }, () =>
    withStoreFixture(async (fixture) => {
      const store = fixture.open();
      addText(store, "before", Buffer.from("before"), []);
      let done = 0;
      const start = process.memoryUsage().rss;
      const descriptors = openDescriptors();
      await fc.assert(
        fc.asyncProperty(arbitraryConversation(fixture.directories.storeDir), async (bytes) => {
          done++;
          try {
            await serveBytes(fixture, bytes, {
              trust: "untrusted",
              uid: 65534,
              store,
              services: () => ({
                build: idle as BuildService,
                collect: { findRoots: () => [], collect: () => ({ paths: [], bytesFreed: 0 }) },
              }),
            });
          } catch (error) {
            if (!(error instanceof SiloError)) throw error;
          }
        }),
        { numRuns: conversations },
      );
      assert.equal(done, conversations);
      const infos = [...queryAllPathInfos(store).values()];
      for (const info of infos) {
        assert.notEqual(info.contentAddress, undefined, `${info.path} was registered without reason`);
        assert.equal(info.ultimate, false);
        assertAddressed(fixture, info);
      }
      // Otherwise nothing was tried.
      assert(infos.length > conversations / 50, `only ${infos.length} paths were added`);
      assert(openDescriptors() <= descriptors + 2, "descriptors are left open");
      const valid = new Set<string>(infos.map(({ path }) => path));
      const left = readdirSync(fixture.storeDir).filter((name) => name !== ".links" && !valid.has(name));
      assert.deepEqual(left, []);
      store.close();
      assert.deepEqual(readdirSync(`${fixture.directories.stateDir}/temproots`), []);
      assert.deepEqual(fixture.silo(["verify", "contents"]).toString().split("\n")[0], "good");
      const growth = (process.memoryUsage().rss - start) / 2 ** 20;
      assert(growth < 600, `memory has grown by ${growth.toFixed(0)} MiB`);
    }),
  );

  test("through the socket leave a daemon that serves as before, and nothing else", {
    timeout: 3_600_000,
  }, async () => {
    const store = createTempStore();
    writeFileSync(
      `${store.dir}/conf/nix.conf`,
      "build-users-group =\ntrusted-users =\nsubstituters =\nsandbox = false\n",
    );
    try {
      await withDaemon("silo", store, async (daemon) => {
        const { pid } = daemon.process;
        const conversation = arbitraryConversation(store.storeDir as StoreDir);
        await nobodyServed(pid!);
        const before = readdirSync(`/proc/${pid}/fd`).length;
        const samples = fc.sample(conversation, connections);
        for (let i = 0; i < samples.length; i += atOnce)
          await Promise.all(samples.slice(i, i + atOnce).map((bytes) => say(daemon.socket, bytes)));
        await nobodyServed(pid!);
        assert.doesNotMatch(daemon.log(), /bug:|was killed by/);
        assert(readdirSync(`/proc/${pid}/fd`).length <= before + 1);
        assert.deepEqual(readdirSync(`${store.stateDir}/temproots`), []);
        const rows = (await settledDatabase(store))["paths"]!;
        for (const row of rows)
          assert(
            row.some((value) => /^(text|fixed):/.test(String(value))),
            String(row),
          );
        const valid = new Set(rows.map(([path]) => String(path)));
        const left = readdirSync(store.storeDir).filter(
          (name) => name !== ".links" && !valid.has(`${store.storeDir}/${name}`),
        );
        assert.deepEqual(left, []);
      });
    } finally {
      store.remove();
    }
  });

  test("a list that claims 2^60 items, or a string of as many bytes, costs nothing", () =>
    withStoreFixture(async (fixture) => {
      const store = fixture.open();
      for (const name of names) {
        const claims = new WireWriter().u64(operations[name].code);
        for (let i = 0; i < 12; i++) claims.u64(2n ** 60n);
        const before = process.memoryUsage().rss;
        await serveBytes(fixture, Buffer.concat([greeting(34), claims.take()]), { store, trust: "untrusted" });
        assert(process.memoryUsage().rss - before < 64 * 2 ** 20, name);
      }
    }));
});
