/** Decompressing what bzip2 1.0.8 made, and what it did not. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import fc from "fast-check";
import { BadBzip2, bzip2Decoder } from "../../src/formats/bzip2/decode.ts";
import { Bzip2Encoder } from "../../src/formats/bzip2/encode.ts";

function decompress(bytes: Uint8Array, chunkSize = bytes.length): Buffer {
  const chunks: Buffer[] = [];
  const decoder = bzip2Decoder((chunk) => void chunks.push(Buffer.from(chunk)));
  for (let at = 0; at < bytes.length; at += chunkSize) decoder.feed(bytes.subarray(at, at + chunkSize));
  decoder.finish();
  return Buffer.concat(chunks);
}

function compress(bytes: Uint8Array): Buffer {
  const chunks: Uint8Array[] = [];
  const encoder = new Bzip2Encoder((chunk) => void chunks.push(chunk));
  encoder.feed(bytes);
  encoder.finish();
  return Buffer.concat(chunks);
}

const empty = Buffer.from("425a683917724538509000000000", "hex");
/** `printf 'hello\n' | bzip2` */
const hello = Buffer.from("QlpoOTFBWSZTWcHAgOIAAAFBAAAQAkSgADDNAMNGKZcXckU4UJDBwIDi", "base64");

describe("bzip2", () => {
  test("what bzip2 made", () => {
    assert.equal(decompress(empty).length, 0);
    assert.equal(decompress(hello).toString(), "hello\n");
  });

  test("what our encoder makes comes back, however it is cut", () => {
    const text = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .array(fc.tuple(fc.nat(255), fc.nat(600)), { maxLength: 8 })
        .map((runs) => Buffer.concat(runs.map(([byte, length]) => Buffer.alloc(length, byte)))),
    );
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 50 }), (bytes, chunkSize) => {
        assert.deepEqual(decompress(compress(bytes), chunkSize), Buffer.from(bytes));
      }),
      { numRuns: 200 },
    );
  });

  test("several blocks, and several streams", () => {
    const long = Buffer.from(Array.from({ length: 150_000 }, (_, i) => `line ${i * i}\n`).join(""));
    assert.ok(decompress(compress(long)).equals(long));
    const twice = Buffer.concat([compress(Buffer.from("one")), compress(Buffer.from("two")), empty]);
    assert.equal(decompress(twice).toString(), "onetwo");
    assert.equal(decompress(twice, 1).toString(), "onetwo");
  });

  test("input that is cut, or goes on with something else", () => {
    const whole = compress(Buffer.from("some text that takes a few bytes"));
    for (let size = 0; size < whole.length; size++) {
      assert.throws(() => decompress(whole.subarray(0, size)), BadBzip2, `${size} bytes`);
    }
    assert.throws(() => decompress(Buffer.concat([whole, Buffer.from("x")])), BadBzip2);
    assert.throws(() => decompress(Buffer.from("plain text")), {
      constructor: BadBzip2,
      message: `Cannot decompress bzip2, before byte 4: expected "BZh1" to "BZh9"`,
    });
  });

  test("changed input is refused", () => {
    const whole = compress(Buffer.from("abracadabra ".repeat(40)));
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = Buffer.from(whole);
        changed[at]! ^= change;
        try {
          const result = decompress(changed);
          assert.equal(result.toString(), "abracadabra ".repeat(40)); // padding, or a block size that is not used up
        } catch (error) {
          assert.ok(error instanceof BadBzip2, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});
