import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SiloError } from "../../../src/error.ts";
import { bytesReader } from "../../../src/formats/bytes-reader.ts";
import { runSync } from "../../../src/formats/codec.ts";
import { WireWriter } from "../../../src/formats/wire.ts";
import { encodeMessage, readMessage } from "../../../src/formats/worker-protocol/messages.ts";
import { operationName, operations, type OperationName } from "../../../src/formats/worker-protocol/operations.ts";
import type { WireContext, WireType } from "../../../src/formats/worker-protocol/wire-type.ts";
import { nixStore } from "../../support/arbitrary-store-path.ts";
import { arbitraryContext, arbitraryExchanges, arbitraryMessage } from "../../support/arbitrary-worker-protocol.ts";
import { chunkedReader } from "../../support/chunked-reader.ts";

const names = Object.keys(operations) as OperationName[];

/** A value of one side of any operation, with its type. */
const arbitrarySide = fc.tuple(arbitraryContext, fc.constantFrom(...names)).chain(([context, name]) => {
  const exchange = arbitraryExchanges(context)[name];
  const operation = operations[name];
  const side = <T>(type: WireType<T>, value: fc.Arbitrary<T>) =>
    value.map((each) => ({ name, context, type: type as WireType<unknown>, value: each as unknown }));
  return fc.oneof(
    side(operation.request as WireType<unknown>, exchange.request as fc.Arbitrary<unknown>),
    side(operation.reply as WireType<unknown>, exchange.reply as fc.Arbitrary<unknown>),
  );
});

function encode(type: WireType<unknown>, value: unknown, context: WireContext): Uint8Array {
  const writer = new WireWriter();
  type.write(writer, value, context);
  return writer.take();
}

describe("operations", () => {
  test("what was written is read back, in any chunks, in every version", () => {
    const splits = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(arbitrarySide, splits, ({ context, type, value }, sizes) => {
        const bytes = encode(type, value, context);
        const reader = chunkedReader(bytes, sizes);
        assert.deepEqual(runSync(type.read(context, "value"), reader), value);
        assert.equal(reader.offset, bytes.length);
      }),
      { numRuns: 1500 },
    );
  });

  test("damaged values are read as something else or refused with a typed error", () => {
    const edits = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(arbitrarySide, edits, fc.nat(), ({ context, type, value }, changes, cut) => {
        const bytes = Uint8Array.from(encode(type, value, context));
        for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
        const end = cut % 3 === 0 && bytes.length > 0 ? cut % bytes.length : bytes.length;
        try {
          runSync(type.read(context, "value"), bytesReader(bytes.subarray(0, end), "request"));
        } catch (error) {
          if (!(error instanceof SiloError)) throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });

  test("a claim of 2^60 items or bytes takes no memory", () => {
    const context: WireContext = { storeDir: nixStore, minor: 34, features: new Set() };
    const claim = new WireWriter()
      .u64(1n << 60n)
      .u64(1n << 60n)
      .u64(1n << 60n)
      .take();
    for (const name of names) {
      const request = operations[name].request as WireType<unknown>;
      try {
        runSync(request.read(context, name), bytesReader(Uint8Array.from([...claim, ...claim, ...claim]), "request"));
      } catch (error) {
        if (!(error instanceof SiloError)) throw error;
      }
    }
  });

  test("numbers are those of worker-protocol.hh", () => {
    assert.equal(operationName(26), "queryPathInfo");
    assert.equal(operationName(46), "buildPathsWithResults");
    assert.equal(operationName(2), undefined);
    const codes = names.map((name) => operations[name].code);
    assert.equal(new Set(codes).size, codes.length);
  });

  test("IsValidPath of Nix 2.8.0", () => {
    const context: WireContext = { storeDir: nixStore, minor: 34, features: new Set() };
    const path = "wzflyq5q9kjg4p27yck2nnispnblxsnh-a.txt";
    const bytes = Buffer.concat([
      Buffer.from("3100000000000000", "hex"),
      Buffer.from(`/nix/store/${path}`),
      Buffer.alloc(7),
    ]);
    assert.deepEqual(runSync(operations.isValidPath.request.read(context, "request"), bytesReader(bytes, "x")), {
      path,
    });
  });
});

describe("messages", () => {
  const contextAndMessage = arbitraryContext.chain((context) =>
    fc.tuple(fc.constant(context), arbitraryMessage(context)),
  );

  test("what was written is read back", () => {
    fc.assert(
      fc.property(contextAndMessage, ([context, message]) => {
        const reader = bytesReader(encodeMessage(message, context), "message");
        assert.deepEqual(runSync(readMessage(context), reader), message);
        assert.equal(reader.left(), 0);
      }),
      { numRuns: 500 },
    );
  });

  test("an error of Nix 2.8.0", () => {
    const text = "path '\x1b[35;1m/foo\x1b[0m' is not in the Nix store";
    const string = (value: string) => new WireWriter().string(value).take();
    const bytes = Buffer.concat([
      Buffer.from("7074786300000000", "hex"),
      string("Error"),
      Buffer.alloc(8),
      string("Error"),
      string(text),
      Buffer.alloc(16),
    ]);
    const context: WireContext = { storeDir: nixStore, minor: 34, features: new Set() };
    assert.deepEqual(runSync(readMessage(context), bytesReader(bytes, "message")), {
      kind: "error",
      failure: { message: text, exitStatus: undefined, traces: [] },
    });
    assert.deepEqual(
      Buffer.from(
        encodeMessage({ kind: "error", failure: { message: text as never, exitStatus: 1, traces: [] } }, context),
      ),
      bytes,
    );
  });
});
