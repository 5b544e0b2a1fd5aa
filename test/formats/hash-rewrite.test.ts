import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { base32Alphabet } from "../../src/formats/base32.ts";
import { HashRewriter } from "../../src/formats/hash-rewrite.ts";
import { cut } from "../support/chunked-reader.ts";

function rewrite(replacements: ReadonlyMap<string, string>, chunks: Iterable<Uint8Array>) {
  const out: Uint8Array[] = [];
  const rewriter = new HashRewriter(replacements, (chunk) => void out.push(Uint8Array.from(chunk)));
  for (const chunk of chunks) {
    const before = Uint8Array.from(chunk);
    rewriter.feed(chunk);
    assert.deepEqual(chunk, before); // the input is the caller's
    chunk.fill(0x30);
  }
  const offsets = rewriter.finish();
  return { text: Buffer.concat(out).toString("latin1"), offsets };
}

/** The plain way: at each byte, is one of them here? */
function rewriteSlowly(replacements: ReadonlyMap<string, string>, text: string) {
  const offsets: number[] = [];
  let rewritten = "";
  for (let at = 0; at < text.length; ) {
    const to = replacements.get(text.slice(at, at + 32));
    if (to === undefined) rewritten += text[at++];
    else {
      offsets.push(at);
      rewritten += to;
      at += 32;
    }
  }
  return { text: rewritten, offsets };
}

const digits = (minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...base32Alphabet), minLength, maxLength });
const from = fc.oneof(digits(32, 32), fc.constantFrom("0".repeat(32), "0a".repeat(16), "a0".repeat(16)));
const to = fc.oneof(digits(32, 32), fc.constant("\0".repeat(32)), fc.constant("\xff".repeat(32)));
const filler = fc.oneof(
  fc.constantFrom("", "0", "/nix/store/", "-name"),
  digits(0, 70),
  fc.constantFrom("0a", "0").map((unit) => unit.repeat(50)),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
);

test("rewrites as the plain way does, in any chunks", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(from, to), { minLength: 1, maxLength: 4 }),
      fc.array(fc.tuple(filler, fc.nat(6)), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 8 }),
      (pairs, pieces, lengths) => {
        const replacements = new Map(pairs);
        const text = pieces.map(([between, which]) => between + (pairs[which]?.[0] ?? "")).join("");
        const bytes = Buffer.from(text, "latin1");
        const expected = rewriteSlowly(replacements, text);
        assert.deepEqual(rewrite(replacements, cut(bytes, lengths)), expected);
        assert.deepEqual(rewrite(replacements, [Uint8Array.from(bytes)]), expected);
      },
    ),
    { numRuns: 2000 },
  );
});

test("the offset of a self-reference in a NAR", () => {
  const self = "v5aify7vk211y4dsya00ix70rfrkdvvb";
  const text = `self=/nix/store/${self}-selfref dep=/nix/store/az31knmcmkcvqp327ha4d0jxlpimbbi3-dep\n`;
  const replacements = new Map([[self, "yny9684xy620zrs2n7jcsj7ph31ym8sp"]]);
  const { text: rewritten, offsets } = rewrite(replacements, cut(Buffer.from("x".repeat(96) + text), [50]));
  assert.deepEqual(offsets, [112]);
  assert.equal(rewritten, "x".repeat(96) + text.replace(self, "yny9684xy620zrs2n7jcsj7ph31ym8sp"));
});

test("replacements have the length of what they replace", () => {
  assert.throws(() => new HashRewriter(new Map([["0".repeat(32), "x"]]), () => {}), /a replacement has 1 bytes/);
  assert.throws(() => new HashRewriter(new Map([["x", "0".repeat(32)]]), () => {}), /not a hash part/);
});
