import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import fc from "fast-check";
import { bzip2Decoder } from "../../src/formats/bzip2/decode.ts";
import { Bzip2Encoder } from "../../src/formats/bzip2/encode.ts";
import { rotationOrder, suffixArray } from "../../src/formats/bzip2/suffix-array.ts";
import { skipWithout } from "../support/stock-nix.ts";

/** The stream of bytes that come in chunks of so many. */
function encode(bytes: Uint8Array, chunkSize = 4099): Buffer {
  const parts: Uint8Array[] = [];
  const encoder = new Bzip2Encoder((chunk) => parts.push(chunk));
  for (let at = 0; at < bytes.length; at += chunkSize) encoder.feed(bytes.subarray(at, at + chunkSize));
  encoder.finish();
  return Buffer.concat(parts);
}

function decode(bytes: Uint8Array): Buffer {
  const parts: Buffer[] = [];
  const decoder = bzip2Decoder((chunk) => parts.push(Buffer.from(chunk)));
  decoder.feed(bytes);
  decoder.finish();
  return Buffer.concat(parts);
}

const text = (lines: number) =>
  Buffer.from(Array.from({ length: lines }, (_, i) => `gcc -c file${i}.c -o obj/file${(i * 7) % 1000}.o\n`).join(""));

const cases: Readonly<Record<string, Uint8Array>> = {
  empty: Buffer.alloc(0),
  "one byte": Buffer.from("a"),
  "runs around their limits": Buffer.concat([3, 4, 5, 254, 255, 256, 259, 260, 1000].map((n, i) => Buffer.alloc(n, i))),
  "the same word again and again": Buffer.from("banana".repeat(20_000)),
  "every byte": Buffer.from(Array.from({ length: 256 * 9 }, (_, i) => i & 255)),
  "more than a block": text(12_000),
  "zeros, far more than a block": Buffer.alloc(1_000_000),
};

describe("bzip2", () => {
  for (const [name, bytes] of Object.entries(cases)) {
    test(name, () => {
      assert(decode(encode(bytes)).equals(bytes));
    });
  }

  test("what was encoded is decoded, however it came", () => {
    const few = fc.array(fc.constantFrom(97, 98, 99), { maxLength: 600 }).map((codes) => Uint8Array.from(codes));
    fc.assert(
      fc.property(fc.oneof(few, fc.uint8Array({ maxLength: 600 })), fc.integer({ min: 1, max: 700 }), (bytes, size) => {
        assert(decode(encode(bytes, size)).equals(Buffer.from(bytes)));
        assert(encode(bytes, size).equals(encode(bytes)));
      }),
    );
  });

  test("the program bzip2 reads it", { skip: skipWithout("bzip2", "--help") }, () => {
    for (const [name, bytes] of Object.entries(cases)) {
      const { status, stdout, stderr } = spawnSync("bzip2", ["-dc"], { input: encode(bytes), maxBuffer: 1 << 24 });
      assert.equal(status, 0, `${name}: ${stderr}`);
      assert(stdout.equals(bytes), name);
    }
  });

  test("text shrinks", () => {
    assert(encode(text(12_000)).length < text(12_000).length / 10);
  });
});

describe("sorting", () => {
  const words = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.array(fc.constantFrom(1, 2), { maxLength: 60 }).map((codes) => Uint8Array.from(codes)),
  );
  const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
  const ascending = (items: readonly string[]) => items.every((item, i) => i === 0 || items[i - 1]! <= item);

  test("suffixes", () => {
    fc.assert(
      fc.property(words, (bytes) => {
        const order = suffixArray(bytes);
        assert.equal(new Set(order).size, bytes.length);
        assert(ascending(Array.from(order, (start) => latin1(bytes.subarray(start)))));
      }),
    );
  });

  test("rotations", () => {
    fc.assert(
      fc.property(words, (bytes) => {
        const order = rotationOrder(bytes);
        assert.equal(new Set(order).size, bytes.length);
        const whole = latin1(bytes);
        assert(ascending(Array.from(order, (start) => whole.slice(start) + whole.slice(0, start))));
      }),
    );
  });
});
