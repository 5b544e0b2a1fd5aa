import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { UnexpectedEnd } from "../../../src/error.ts";
import { encodeFrameHeader, framedReader, framesEnd } from "../../../src/formats/worker-protocol/framed.ts";
import { chunkedReader } from "../../support/chunked-reader.ts";

function frame(parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...parts.flatMap((part) => [encodeFrameHeader(part.length), part]), framesEnd]);
}

const parts = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 });

test("frames of any size hold the same bytes, however they are read", () => {
  const reads = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 60 })));
  fc.assert(
    fc.property(parts, reads, (pieces, wants) => {
      const whole = Buffer.concat(pieces);
      const input = chunkedReader(Buffer.concat([frame(pieces), Buffer.from("next")]), [3, 17]);
      const reader = framedReader(input);
      let at = 0;
      for (const [exactly, n] of wants) {
        if (exactly && n > whole.length - at) continue;
        if (at === whole.length) break;
        const bytes = Buffer.from(exactly ? reader.take(n) : reader.takeSome(n));
        assert.deepEqual(bytes, whole.subarray(at, at + bytes.length));
        at += bytes.length;
      }
      assert.equal(reader.atEnd(), at === whole.length);
      reader.drain();
      assert.equal(Buffer.from(input.take(4)).toString(), "next");
    }),
  );
});

test("the end is an error to who reads on", () => {
  const reader = framedReader(chunkedReader(frame([Uint8Array.of(1, 2)])));
  assert.throws(() => reader.take(3), UnexpectedEnd);
});
