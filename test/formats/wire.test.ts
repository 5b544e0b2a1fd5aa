import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { UnexpectedEnd } from "../../src/error.ts";
import { bytesReader } from "../../src/formats/bytes-reader.ts";
import type { ByteString } from "../../src/formats/byte-string.ts";
import { type Codec, runSync } from "../../src/formats/codec.ts";
import {
  BadWire,
  readBool,
  readBytes,
  readNumber,
  readString,
  readStrings,
  readU64,
  WireWriter,
} from "../../src/formats/wire.ts";
import { chunkedReader } from "../support/chunked-reader.ts";

const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
const written = (writer: WireWriter) => Buffer.from(writer.take()).toString("hex");
const read = <T>(codec: Codec<T>, bytes: Uint8Array): T => runSync(codec, chunkedReader(bytes));
const byteString = fc.uint8Array().map((bytes) => Buffer.from(bytes).toString("latin1") as ByteString);

test("the bytes of Nix's handshake", () => {
  const writer = new WireWriter().u64(0x6e697863).u64(0x122).bool(false).bool(true).string("2.8.0").strings(["a", ""]);
  assert.equal(
    written(writer),
    "6378696e00000000 2201000000000000 0000000000000000 0100000000000000 0500000000000000 322e382e30000000 0200000000000000 0100000000000000 6100000000000000 0000000000000000".replaceAll(
      " ",
      "",
    ),
  );
});

test("numbers", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (value) => {
      assert.equal(read(readU64(), new WireWriter().u64(value).take()), value);
    }),
  );
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      const bytes = new WireWriter().u64(value).take();
      assert.equal(read(readNumber("size"), bytes), value);
      assert.equal(read(readU64(), bytes), BigInt(value));
    }),
  );
  assert.equal(written(new WireWriter().u64(-2n)), "feffffffffffffff");
  assert.throws(() => new WireWriter().u64(-1), /not a u64: -1/);
  assert.throws(() => new WireWriter().u64(2 ** 53), /not a u64/);
});

test("numbers out of range", () => {
  const bad = (bytes: string, max?: number) => () => read(readNumber("NAR size", max), hex(bytes));
  assert.throws(
    bad("0000000000002000"),
    new BadWire("NAR size", "9007199254740992 is too large, at most 9007199254740991 is allowed"),
  );
  assert.throws(bad("ffffffffffffffff"), { what: "NAR size", reason: /18446744073709551615 is too large/ });
  assert.throws(bad("0000000001000000", 0xffffffff), { message: /^Cannot read NAR size: 4294967296 is too large/ });
  assert.equal(bad("ffffffff00000000", 0xffffffff)(), 0xffffffff);
});

test("anything but 0 is true", () => {
  assert.equal(read(readBool(), hex("0000000000000000")), false);
  assert.equal(read(readBool(), hex("0100000000000000")), true);
  assert.equal(read(readBool(), hex("0000000000000080")), true);
});

test("strings, bytes and lists round trip", () => {
  fc.assert(
    fc.property(fc.array(byteString), (items) => {
      const bytes = new WireWriter().strings(items).take();
      assert.equal(bytes.length % 8, 0);
      assert.deepEqual(read(readStrings("names", { maxCount: 100, maxBytes: 1000 }), bytes), items);
      for (const item of items) {
        assert.equal(read(readString("name", 1000), new WireWriter().string(item).take()), item);
        const contents = new Uint8Array(Buffer.from(item, "latin1"));
        assert.deepEqual(read(readBytes("contents", 1000), new WireWriter().bytes(contents).take()), contents);
      }
    }),
  );
});

test("long strings, in pieces", () => {
  for (const size of [65_535, 65_536, 65_537, 200_003]) {
    const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 7) & 255);
    const encoded = new WireWriter().bytes(bytes).take();
    for (const splits of [[1 << 20], [1, 5000]]) {
      assert(Buffer.from(runSync(readBytes("text", size), chunkedReader(encoded, splits))).equals(bytes));
      const text = runSync(readString("text", size), chunkedReader(encoded, splits));
      assert(Buffer.from(text, "latin1").equals(bytes));
    }
    encoded[encoded.length - 1] = 1;
    if (size % 8 !== 0)
      assert.throws(() => read(readBytes("text", size), encoded), new BadWire("text", "padding is not zero"));
  }
});

describe("what is malformed", () => {
  const limits = { maxCount: 3, maxBytes: 5 };
  const cases: [string, () => Codec<unknown>, string, string][] = [
    [
      "padding",
      () => readString("name", 5),
      "0100000000000000 6100000000000001",
      "Cannot read name: padding is not zero",
    ],
    [
      "length",
      () => readString("name", 5),
      "0600000000000000",
      "Cannot read name: 6 bytes long, at most 5 are allowed",
    ],
    [
      "length of 64 bits",
      () => readBytes("name", 5),
      "ffffffffffffffff",
      "Cannot read name: 18446744073709551615 bytes long, at most 5 are allowed",
    ],
    [
      "count",
      () => readStrings("names", limits),
      "0400000000000000",
      "Cannot read number of names: 4 is too large, at most 3 is allowed",
    ],
    [
      "item",
      () => readStrings("names", limits),
      "0100000000000000 0600000000000000",
      "Cannot read names: 6 bytes long, at most 5 are allowed",
    ],
  ];
  for (const [what, codec, bytes, message] of cases) {
    test(what, () => {
      assert.throws(
        () => read(codec(), hex(bytes)),
        (error) => error instanceof BadWire && error.message === message,
      );
    });
  }
});

test("a claimed length or count takes no memory", () => {
  const claim = new WireWriter().u64(2 ** 40).take();
  const reader = chunkedReader(claim);
  assert.throws(() => runSync(readBytes("contents", 2 ** 50), reader), UnexpectedEnd);
  assert.equal(reader.greatestTake, 8);
  assert.throws(() => read(readStrings("names", { maxCount: 2 ** 50, maxBytes: 1 }), claim), UnexpectedEnd);
});

test("text that is not encoded is not written", () => {
  assert.throws(() => new WireWriter().string("→"), /not a byte string/);
});

test("a writer goes on after what was taken, and what was taken stays", () => {
  const writer = new WireWriter().string("one");
  const first = writer.take();
  const copy = Uint8Array.from(first);
  const second = writer.raw(hex("ff")).take();
  assert.deepEqual(second, hex("ff"));
  assert.deepEqual(first, copy);
});

test("noise never fails in another way", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      try {
        runSync(readStrings("names", { maxCount: 10, maxBytes: 10 }), bytesReader(bytes, "noise"));
      } catch (error) {
        assert(error instanceof BadWire || error instanceof UnexpectedEnd);
      }
    }),
  );
});

test("bytes that are more than the writer has room for are all written", () => {
  const large = Buffer.alloc(5000, "x");
  assert.deepEqual(Buffer.from(new WireWriter().raw(large).take()), large);
});
