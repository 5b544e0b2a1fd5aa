import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { UnexpectedEnd } from "../../../src/error.ts";
import { run, runSync } from "../../../src/formats/codec.ts";
import { BadNar } from "../../../src/formats/nar/format.ts";
import { readNar } from "../../../src/formats/nar/read-nar.ts";
import { decodeNar, encodeNar, narSize, type NarTree, TreeBuilder } from "../../../src/formats/nar/tree.ts";
import type { NarVisitor } from "../../../src/formats/nar/visitor.ts";
import { tee } from "../../../src/formats/tee.ts";
import { arbitraryTree, directory, flatten } from "../../support/arbitrary-tree.ts";
import { chunkedReader } from "../../support/chunked-reader.ts";

const fixture = (name: string) => new Uint8Array(readFileSync(new URL(`../../fixtures/nar/${name}`, import.meta.url)));
const text = (contents: string) => new Uint8Array(Buffer.from(contents));
const fixtureTree = directory([
  ["B", { kind: "regular", contents: text("x") }],
  ["a", { kind: "regular", contents: text("") }],
  ["lnk", { kind: "symlink", target: "run" as never }],
  ["run", { kind: "executable", contents: text("#!/bin/sh\n") }],
  ["sub", directory([])],
]);

const helloHex = `
0d00000000000000 6e69782d61726368 6976652d31000000 0100000000000000 2800000000000000
0400000000000000 7479706500000000 0700000000000000 726567756c617200 0800000000000000
636f6e74656e7473 0500000000000000 68656c6c6f000000 0100000000000000 2900000000000000`;

describe("NARs of Nix 2.8.0", () => {
  const golden: [string, NarTree][] = [
    ["hello.nar", { kind: "regular", contents: text("hello") }],
    ["tree.nar", fixtureTree],
  ];
  for (const [name, tree] of golden) {
    test(name, () => {
      const bytes = fixture(name);
      const decoded = decodeNar(bytes);
      assert.deepEqual(flatten(decoded.tree), flatten(tree));
      assert.equal(decoded.trailing, 0);
      assert.deepEqual(encodeNar(tree), bytes);
      assert.equal(narSize(tree), bytes.length);
    });
  }
  test("hello, byte by byte", () => {
    const bytes = encodeNar({ kind: "regular", contents: text("hello") });
    assert.equal(Buffer.from(bytes).toString("hex"), helloHex.replaceAll(/\s/g, ""));
  });
});

/** What the reader may ask for at once: a file that is handed on whole, and tags. */
const greatestTake = 64 * 1024 + 64;

test("reading undoes writing, however the input comes", () => {
  fc.assert(
    fc.property(arbitraryTree, fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1 }), (tree, splits) => {
      const nar = encodeNar(tree);
      const builder = new TreeBuilder();
      const reader = chunkedReader(Buffer.concat([nar, text("rest")]), splits);
      runSync(readNar(builder), reader);
      assert.deepEqual(flatten(builder.finish()), flatten(tree));
      assert.equal(reader.offset, nar.length);
      assert(reader.greatestTake <= greatestTake);
    }),
  );
});

test("the asynchronous driver reads the same", async () => {
  const builder = new TreeBuilder();
  const reader = chunkedReader(fixture("tree.nar"));
  await run(readNar(builder), {
    take: (n) => Promise.resolve(reader.take(n)),
    takeSome: (n) => Promise.resolve(reader.takeSome(n)),
  });
  assert.deepEqual(flatten(builder.finish()), flatten(fixtureTree));
});

test("a tee sees the NAR and nothing else, while it is read", () => {
  fc.assert(
    fc.property(arbitraryTree, fc.integer({ min: 1, max: 100_000 }), (tree, split) => {
      const nar = encodeNar(tree);
      const hasher = createHash("sha256");
      const reader = chunkedReader(Buffer.concat([nar, text("rest")]), [split]);
      runSync(
        tee(readNar(new TreeBuilder()), (chunk) => void hasher.update(chunk)),
        reader,
      );
      assert.equal(hasher.digest("hex"), createHash("sha256").update(nar).digest("hex"));
    }),
  );
});

test("large contents come in chunks, small ones whole", () => {
  const sizes: number[] = [];
  const visitor: NarVisitor = {
    directory() {},
    leaveDirectory() {},
    file() {},
    contents: (chunk) => void sizes.push(chunk.length),
    endFile() {},
    symlink() {},
  };
  const file = (size: number): NarTree => ({ kind: "regular", contents: new Uint8Array(size) });
  const nar = encodeNar(
    directory([
      ["a", file(0)],
      ["b", file(65_536)],
      ["c", file(600_000)],
    ]),
  );
  runSync(readNar(visitor), chunkedReader(nar));
  assert.deepEqual(sizes, [65_536, 262_144, 262_144, 75_712]);
});

test("a claim of a huge file takes no memory", () => {
  const nar = encodeNar({ kind: "regular", contents: new Uint8Array(0) });
  const claim = Buffer.concat([nar.subarray(0, 88), Buffer.from("0000000000000100", "hex"), Buffer.alloc(1000)]);
  const reader = chunkedReader(claim);
  assert.throws(() => runSync(readNar(new TreeBuilder()), reader), UnexpectedEnd);
  assert(reader.greatestTake <= greatestTake);
});

/** Changes that hit lengths, tags, padding and names. */
type Mutation = { kind: "set" | "insert" | "remove" | "length" | "copy"; at: number; value: number };
const arbitraryMutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom("set", "insert", "remove", "length", "copy"),
  at: fc.nat(),
  value: fc.nat(255),
});

function mutate(bytes: Uint8Array, { kind, at, value }: Mutation): Uint8Array {
  const place = at % bytes.length;
  const word = place & ~7;
  switch (kind) {
    case "set": {
      const changed = bytes.slice();
      changed[place] = value;
      return changed;
    }
    case "length": {
      const changed = bytes.slice();
      changed.set(
        [value, value & 1 ? 0xff : 0, 0, 0, 0, 0, 0, value & 2 ? 0xff : 0].slice(0, changed.length - word),
        word,
      );
      return changed;
    }
    case "insert":
      return Buffer.concat([bytes.subarray(0, word), Buffer.alloc(8, value & 1 ? value : 0), bytes.subarray(word)]);
    case "remove":
      return Buffer.concat([bytes.subarray(0, word), bytes.subarray(word + 8 * (1 + (value & 7)))]);
    case "copy":
      return Buffer.concat([bytes.subarray(0, word), bytes.subarray((word + 8 * value) % bytes.length)]);
  }
}

test("a changed NAR is refused, or is the one NAR of another tree", () => {
  fc.assert(
    fc.property(arbitraryTree, fc.array(arbitraryMutation, { minLength: 1, maxLength: 3 }), (tree, mutations) => {
      const bytes = mutations.reduce(
        (changed, mutation) => (changed.length > 0 ? mutate(changed, mutation) : changed),
        encodeNar(tree),
      );
      const builder = new TreeBuilder();
      const reader = chunkedReader(bytes, [1000]);
      try {
        runSync(readNar(builder), reader);
      } catch (error) {
        if (!(error instanceof BadNar || error instanceof UnexpectedEnd)) throw error;
        if (error instanceof BadNar) assert(error.offset >= 0 && error.offset <= reader.offset);
        assert(reader.greatestTake <= greatestTake);
        return;
      }
      assert(Buffer.compare(encodeNar(builder.finish()), bytes.subarray(0, reader.offset)) === 0);
    }),
    { numRuns: 2000 },
  );
});

test("noise is refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.throws(
        () => decodeNar(bytes),
        (error) => error instanceof BadNar || error instanceof UnexpectedEnd,
      );
    }),
  );
});
