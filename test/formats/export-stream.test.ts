import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { UnexpectedEnd } from "../../src/error.ts";
import type { ByteString } from "../../src/formats/byte-string.ts";
import { type Codec, runSync } from "../../src/formats/codec.ts";
import {
  BadExport,
  encodeItemInfo,
  encodeItemSignature,
  encodeItemStart,
  encodeStreamEnd,
  type ExportInfo,
  readItem,
  readItemSignature,
  readItemStart,
} from "../../src/formats/export-stream.ts";
import { BadNar } from "../../src/formats/nar/format.ts";
import { encodeNar, type NarTree, TreeBuilder } from "../../src/formats/nar/tree.ts";
import { BadStorePath, parseStoreDir, parseStorePath } from "../../src/formats/store-path.ts";
import { tee } from "../../src/formats/tee.ts";
import { BadWire, WireWriter } from "../../src/formats/wire.ts";
import { arbitraryTree, flatten } from "../support/arbitrary-tree.ts";
import { chunkedReader } from "../support/chunked-reader.ts";

const dir = parseStoreDir("/nix/store");
const fixture = new Uint8Array(readFileSync(new URL("../fixtures/nar/b.export", import.meta.url)));
const b = parseStorePath("01l2jla92i4xp8qc158kf7b624r2xi62-b.txt");
const a = parseStorePath("wzflyq5q9kjg4p27yck2nnispnblxsnh-a.txt");

interface Item {
  readonly tree: NarTree;
  readonly info: ExportInfo;
  readonly signature: ByteString | undefined;
  /** SHA-256 of what a signature covers, base-16. */
  readonly hash: string;
}

function* readAll(): Codec<Item[]> {
  const items: Item[] = [];
  while ((yield* readItemStart()) === "item") {
    const builder = new TreeBuilder();
    const hasher = createHash("sha256");
    const info = yield* tee(readItem(dir, builder), (chunk) => void hasher.update(chunk));
    const signature = yield* readItemSignature();
    items.push({ tree: builder.finish(), info, signature, hash: hasher.digest("hex") });
  }
  return items;
}

function encodeItem(tree: NarTree, info: ExportInfo, signature: Uint8Array | undefined): Buffer {
  return Buffer.concat([encodeItemStart(), encodeNar(tree), encodeItemInfo(dir, info), encodeItemSignature(signature)]);
}

test("an export of Nix 2.8.0", () => {
  assert.equal(fixture.length, 344);
  const reader = chunkedReader(fixture);
  const items = runSync(readAll(), reader);
  assert.equal(reader.offset, fixture.length);
  const tree: NarTree = { kind: "regular", contents: new Uint8Array(Buffer.from(`x/nix/store/${a}`)) };
  const info: ExportInfo = { path: b, references: [a], deriver: undefined };
  // Signed is what lies between the first u64, and those that say that no signature and no item follow.
  const hash = createHash("sha256").update(fixture.subarray(8, -16)).digest("hex");
  assert.equal(items.length, 1);
  assert.deepEqual(flatten(items[0]!.tree), flatten(tree));
  assert.deepEqual({ ...items[0], tree: undefined }, { tree: undefined, info, signature: undefined, hash });
  assert(Buffer.concat([encodeItem(tree, info, undefined), encodeStreamEnd()]).equals(fixture));
});

test("no items", () => {
  assert.deepEqual(runSync(readAll(), chunkedReader(encodeStreamEnd())), []);
});

test("reading undoes writing", () => {
  const path = fc.constantFrom(a, b);
  const item = fc.record({
    tree: arbitraryTree,
    info: fc.record({
      path,
      references: fc.uniqueArray(path).map((paths) => paths.sort()),
      deriver: fc.option(path, { nil: undefined }),
    }),
    signature: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(item, { maxLength: 4 }), fc.integer({ min: 1, max: 5000 }), (items, split) => {
      const stream = Buffer.concat([...items.map((i) => encodeItem(i.tree, i.info, i.signature)), encodeStreamEnd()]);
      const read = runSync(readAll(), chunkedReader(stream, [split]));
      assert.deepEqual(
        read.map((i) => [flatten(i.tree), i.info, i.signature]),
        items.map((i) => [flatten(i.tree), { ...i.info }, i.signature && Buffer.from(i.signature).toString("latin1")]),
      );
      for (const [i, { hash }] of read.entries()) {
        const { tree, info } = items[i]!;
        const covered = Buffer.concat([encodeNar(tree), encodeItemInfo(dir, info)]);
        assert.equal(hash, createHash("sha256").update(covered).digest("hex"));
      }
    }),
  );
});

test("references are written sorted", () => {
  const sorted = encodeItemInfo(dir, { path: b, references: [b, a], deriver: undefined });
  assert.deepEqual(encodeItemInfo(dir, { path: b, references: [a, b], deriver: undefined }), sorted);
});

describe("what is malformed", () => {
  const nar = fixture.subarray(8, 176);
  const u64 = (value: number) => new WireWriter().u64(value).take();
  const text = (...strings: string[]) => strings.map((string) => new WireWriter().string(string).take());
  const magic = u64(0x4558494e);
  const cases: [string, Uint8Array[], RegExp][] = [
    ["start", [u64(2)], /expected 1 for an item or 0 for the end, found 2/],
    ["start of 64 bits", [Buffer.from("0100000000000080", "hex")], /found 9223372036854775809/],
    ["NAR", [u64(1), Buffer.alloc(200)], /^Cannot read NAR: at byte 0/],
    ["magic", [u64(1), nar, u64(0x4558494f)], /expected the magic 0x4558494e after a NAR, found 0x4558494f/],
    ["path", [u64(1), nar, magic, ...text("/nix/store/x")], /^Cannot parse store path/],
    ["path elsewhere", [u64(1), nar, magic, ...text(`/gnu/store/${b}`)], /is not in the Nix store/],
    ["long path", [u64(1), nar, magic, u64(5000)], /Cannot read path of exported item: 5000 bytes long/],
    ["references", [u64(1), nar, magic, ...text(`/nix/store/${b}`), u64(1e9)], /Cannot read number of references/],
    [
      "signature",
      [u64(1), nar, magic, ...text(`/nix/store/${b}`), u64(0), ...text(""), u64(2)],
      /expected 1 for a signature or 0 for none, found 2/,
    ],
  ];
  for (const [what, parts, message] of cases) {
    test(what, () => {
      assert.throws(() => runSync(readAll(), chunkedReader(Buffer.concat(parts))), { message });
    });
  }

  test("any end that is too early", () => {
    for (let size = 0; size < fixture.length; size++) {
      assert.throws(() => runSync(readAll(), chunkedReader(fixture.subarray(0, size))), UnexpectedEnd);
    }
  });

  test("any change of a byte", () => {
    fc.assert(
      fc.property(fc.nat(fixture.length - 1), fc.nat(255), (at, value) => {
        const changed = Uint8Array.from(fixture);
        changed[at] = value;
        try {
          runSync(readAll(), chunkedReader(changed));
        } catch (error) {
          const isTyped = [BadExport, BadNar, BadWire, BadStorePath, UnexpectedEnd].some(
            (type) => error instanceof type,
          );
          assert(isTyped, String(error));
        }
      }),
    );
  });
});
