import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeBase32, encodeBase32 } from "../../src/formats/base32.ts";

test("known digests", () => {
  const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));
  assert.equal(encodeBase32(hex("5d41402abc4b2a76b9719d911017c592")), "4jqlbi14cxf6wpcajbphm40hax");
  assert.equal(encodeBase32(hex(`01${"00".repeat(19)}`)), "00000000000000000000000000000001");
  assert.equal(encodeBase32(hex(`${"00".repeat(19)}80`)), "h0000000000000000000000000000000");
  assert.equal(encodeBase32(hex("ff".repeat(32))), "1zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz");
});

test("decode undoes encode", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      assert.deepEqual(decodeBase32(encodeBase32(bytes), bytes.length), bytes);
    }),
  );
});

test("what is not canonical is refused", () => {
  assert.equal(decodeBase32(`2${"z".repeat(51)}`, 32), undefined); // excess bits
  assert.equal(decodeBase32("e".repeat(52), 32), undefined);
  assert.equal(decodeBase32("A".repeat(52), 32), undefined);
  assert.equal(decodeBase32("0".repeat(51), 32), undefined);
});
