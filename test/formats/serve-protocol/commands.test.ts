import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SiloError } from "../../../src/error.ts";
import type { ByteString } from "../../../src/formats/byte-string.ts";
import { bytesReader } from "../../../src/formats/bytes-reader.ts";
import { runSync } from "../../../src/formats/codec.ts";
import { parseContentAddress } from "../../../src/formats/content-address.ts";
import { parseHash } from "../../../src/formats/hash.ts";
import { type Command, commands, pathInfos, serveContext } from "../../../src/formats/serve-protocol/commands.ts";
import {
  encodeOldQuery,
  encodeOldSubstitute,
  readOldCommand,
  readOldQuery,
} from "../../../src/formats/serve-protocol/queries.ts";
import { parseStorePath } from "../../../src/formats/store-path.ts";
import { WireWriter } from "../../../src/formats/wire.ts";
import type { WireContext } from "../../../src/formats/worker-protocol/wire-type.ts";
import {
  arbitraryBuildResult,
  arbitraryExchanges,
  arbitraryPathInfo,
} from "../../support/arbitrary-worker-protocol.ts";
import { arbitraryStorePath, nixStore } from "../../support/arbitrary-store-path.ts";

const today = serveContext(nixStore, 7);

function encode<T>(
  type: { write(writer: WireWriter, value: T, context: WireContext): void },
  value: T,
  context = today,
) {
  const writer = new WireWriter();
  type.write(writer, value, context);
  return Buffer.from(writer.take());
}

// Of Nix 2.8.0: the reply to QueryPathInfos for builtins.toFile "a.txt" "hello".
test("the infos of a path are those of Nix", () => {
  const info = {
    path: parseStorePath("wzflyq5q9kjg4p27yck2nnispnblxsnh-a.txt"),
    deriver: undefined,
    references: [],
    downloadSize: 120,
    narSize: 120,
    narHash: parseHash("sha256:0sg9f58l1jj88w6pdrfdpj5x9b1zrwszk84j81zvby36q9whhhqa"),
    contentAddress: parseContentAddress("text:sha256:094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic"),
    signatures: [],
  };
  const string = (text: string) => encode({ write: (writer: WireWriter) => void writer.string(text) }, undefined);
  const number = (value: number) => encode({ write: (writer: WireWriter) => void writer.u64(value) }, undefined);
  const expected = Buffer.concat([
    string("/nix/store/wzflyq5q9kjg4p27yck2nnispnblxsnh-a.txt"),
    string(""),
    number(0),
    number(0x78),
    number(0x78),
    string("sha256:0sg9f58l1jj88w6pdrfdpj5x9b1zrwszk84j81zvby36q9whhhqa"),
    string("text:sha256:094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic"),
    number(0),
    string(""),
  ]);
  assert.equal(expected.length, 256);
  assert.deepEqual(encode(pathInfos, [info]), expected);
  assert.deepEqual(runSync(pathInfos.read(today, "infos"), bytesReader(expected, "infos")), [info]);
  // Before 2.4 the last three are not there.
  const old = serveContext(nixStore, 3);
  assert.equal(encode(pathInfos, [info], old).length, 256 - 8 - 64 - 8 - 64 - 8);
});

const minors = fc.integer({ min: 0, max: 8 });
const paths = fc.uniqueArray(arbitraryStorePath, { maxLength: 4 }).map((each) => each.sort());
const settings = fc.record(
  {
    maxSilentTimeSec: fc.nat(),
    buildTimeoutSec: fc.nat(),
    maxLogSize: fc.nat(),
    repeats: fc.nat(9),
    enforceDeterminism: fc.boolean(),
    keepFailed: fc.boolean(),
  },
  { noNullPrototype: true },
);

/** What a version has no place for is what a reader makes of its absence. */
function cutSettings(minor: number, value: Record<string, unknown>) {
  return {
    ...value,
    ...(minor < 2 ? { maxLogSize: 0 } : {}),
    ...(minor < 3 ? { repeats: 0, enforceDeterminism: false } : {}),
    ...(minor < 7 ? { keepFailed: false } : {}),
  };
}

function roundTrip<T>(command: Command<T, unknown>, minor: number, value: T): unknown {
  const context = serveContext(nixStore, minor);
  const bytes = encode(command.request, value, context);
  const reader = bytesReader(bytes, "request");
  const read = runSync(command.request.read(context, "request"), reader);
  assert.equal(reader.left(), 0);
  return read;
}

test("every request reads as it was written, in every version", () => {
  const derivation = arbitraryExchanges({ storeDir: nixStore, minor: 38, features: new Set() }).buildDerivation.request;
  fc.assert(
    fc.property(minors, paths, settings, derivation, fc.boolean(), fc.boolean(), (minor, some, wanted, drv, a, b) => {
      const query = { lock: a, substitute: b, paths: some };
      assert.deepEqual(roundTrip(commands.queryValidPaths, minor, query), query);
      assert.deepEqual(roundTrip(commands.queryClosure, minor, { includeOutputs: a, paths: some }), {
        includeOutputs: a,
        paths: some,
      });
      const request = { drv: drv.derivation, settings: wanted };
      assert.deepEqual(roundTrip(commands.buildDerivation, minor, request), {
        ...request,
        settings: cutSettings(minor, wanted),
      });
    }),
  );
  fc.assert(
    fc.property(minors, arbitraryPathInfo({ minor: 38 }), fc.integer({ min: 1 }), (minor, info, narSize) => {
      assert.deepEqual(roundTrip(commands.addToStoreNar, minor, { ...info, narSize }), { ...info, narSize });
    }),
  );
});

test("the result of a build reads as it was written", () => {
  const result = arbitraryBuildResult({ storeDir: nixStore, minor: 29, features: new Set() });
  fc.assert(
    fc.property(result, (whole) => {
      const { cpuUserUs: _, cpuSystemUs: __, ...reply } = whole;
      const bytes = encode(commands.buildDerivation.reply, reply);
      assert.deepEqual(
        runSync(commands.buildDerivation.reply.read(today, "result"), bytesReader(bytes, "result")),
        reply,
      );
    }),
  );
});

test("damaged requests are errors of ours, whatever they are", () => {
  const derivation = arbitraryExchanges({ storeDir: nixStore, minor: 38, features: new Set() }).buildDerivation.request;
  fc.assert(
    fc.property(derivation, settings, fc.nat(), fc.integer({ min: 0, max: 255 }), (drv, wanted, at, byte) => {
      const bytes = encode(commands.buildDerivation.request, { drv: drv.derivation, settings: wanted });
      bytes[at % bytes.length] = byte;
      try {
        runSync(commands.buildDerivation.request.read(today, "request"), bytesReader(bytes, "request"));
      } catch (error) {
        assert.ok(error instanceof SiloError, String(error));
      }
    }),
  );
});

test("a NAR of no bytes is refused", () => {
  fc.assert(
    fc.property(arbitraryPathInfo({ minor: 38 }), (info) => {
      const bytes = encode(commands.addToStoreNar.request, { ...info, narSize: 0 });
      assert.throws(
        () => runSync(commands.addToStoreNar.request.read(today, "request"), bytesReader(bytes, "request")),
        SiloError,
      );
    }),
    { numRuns: 5 },
  );
});

test("a failed build carries its status and message", () => {
  const reply = { kind: "failed", exitStatus: 100, message: "no" as ByteString } as const;
  const bytes = encode(commands.buildPaths.reply, reply);
  assert.deepEqual(runSync(commands.buildPaths.reply.read(today, "reply"), bytesReader(bytes, "reply")), reply);
});

test("what Nix 1.7 asks", () => {
  fc.assert(
    fc.property(paths, fc.constantFrom("have", "info"), (some, kind) => {
      const context = serveContext(nixStore, 0);
      const reader = bytesReader(Buffer.from(encodeOldQuery(context, { kind, paths: some }, "begin")), "query");
      assert.deepEqual(runSync(readOldCommand(context), reader), { kind: "query" });
      assert.deepEqual(runSync(readOldQuery(context), reader), { kind, paths: some });
      assert.equal(reader.left(), 0);
    }),
  );
  const [path] = [parseStorePath("wzflyq5q9kjg4p27yck2nnispnblxsnh-a.txt")];
  const context = serveContext(nixStore, 0);
  const reader = bytesReader(Buffer.from(encodeOldSubstitute(context, path!)), "command");
  assert.deepEqual(runSync(readOldCommand(context), reader), { kind: "substitute", path });
});
