import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { base32Alphabet } from "../../src/formats/base32.ts";
import { ReferenceScanner } from "../../src/formats/reference-scan.ts";
import { cut } from "../support/chunked-reader.ts";

const hashPart = fc.string({ unit: fc.constantFrom(...base32Alphabet), minLength: 32, maxLength: 32 });
/** Much alike, so that they overlap. */
const similarPart = fc
  .tuple(fc.constantFrom("0", "a", "ab", "0a1"), fc.nat(3))
  .map(([unit, shift]) => unit.repeat(40).slice(shift, shift + 32));
/** What comes between: nothing, digits, letters that are no digits, noise, parts of hash parts. */
const filler = fc.oneof(
  fc.constant(""),
  fc.string({ unit: fc.constantFrom(...base32Alphabet), maxLength: 70 }),
  fc.string({ unit: fc.constantFrom(..."eotuEOTU/-. \n\0\xff"), maxLength: 40 }),
  fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
);
const lengths = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 8 });

function scan(parts: readonly string[], chunks: Iterable<Uint8Array>): string[] {
  const scanner = new ReferenceScanner(parts);
  for (const chunk of chunks) {
    scanner.feed(chunk);
    chunk.fill(0x30); // as a reused buffer would be
  }
  return [...scanner.finish()].sort();
}

test("finds what a plain search finds, in any chunks", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.oneof(hashPart, similarPart), { minLength: 1, maxLength: 5 }),
      fc.array(fc.tuple(filler, fc.nat(9), fc.nat(32)), { maxLength: 8 }),
      lengths,
      (parts, pieces, chunkLengths) => {
        // Each piece ends in one of the parts, or in the beginning of one, or in none.
        const text = pieces
          .map(([between, which, length]) => between + (parts[which] ?? "").slice(0, length + 16))
          .join("");
        const bytes = Buffer.from(text, "latin1");
        const expected = parts.filter((part) => bytes.includes(part, 0, "latin1")).sort();
        assert.deepEqual(scan(parts, cut(bytes, chunkLengths)), expected);
        assert.deepEqual(scan(parts, [Uint8Array.from(bytes)]), expected);
      },
    ),
    { numRuns: 2000 },
  );
});

test("at every boundary of two chunks", () => {
  const part = "v5mqnf394rwmd3xd5dqlmri0csmqjxzy";
  for (const around of ["", "0", "/", "abcdfghij", "x".repeat(40)]) {
    const bytes = Buffer.from(`${around}${part}${around}`);
    for (let at = 0; at <= bytes.length; at++) {
      const chunks = [bytes.subarray(0, at), bytes.subarray(at)].map((chunk) => Uint8Array.from(chunk));
      assert.deepEqual(scan([part], chunks), [part]);
    }
    assert.deepEqual(scan([part], cut(bytes, [1])), [part]);
  }
});

test("upper case, a changed character and a part that is cut short are not found", () => {
  const part = "v5mqnf394rwmd3xd5dqlmri0csmqjxzy";
  for (const text of [
    part.toUpperCase(),
    part.replace("m", "n"),
    part.slice(1),
    part.slice(0, 31),
    `${part.slice(0, 16)} ${part.slice(16)}`,
  ]) {
    assert.deepEqual(scan([part], [new Uint8Array(Buffer.from(text))]), []);
  }
});

test("nothing sought, nothing fed", () => {
  assert.deepEqual(scan([], [new Uint8Array(100)]), []);
  assert.deepEqual(scan(["v5mqnf394rwmd3xd5dqlmri0csmqjxzy"], [new Uint8Array(0)]), []);
  assert.throws(() => new ReferenceScanner(["e".repeat(32)]), /not a hash part/);
  assert.throws(() => new ReferenceScanner(["0".repeat(31)]), /not a hash part/);
});

test("long runs of digits", () => {
  const digits = base32Alphabet.repeat(20_000);
  const part = "v5mqnf394rwmd3xd5dqlmri0csmqjxzy";
  const bytes = new Uint8Array(Buffer.from(`${digits}${part}${digits}`));
  assert.deepEqual(scan([part, "0".repeat(32)], cut(bytes, [65_536])), [part]);
});
