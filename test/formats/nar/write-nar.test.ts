import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { ByteString } from "../../../src/formats/byte-string.ts";
import { encodeNar, narSize, visitTree } from "../../../src/formats/nar/tree.ts";
import { CannotWriteNar, NarWriter } from "../../../src/formats/nar/write-nar.ts";
import { arbitraryTree, directory } from "../../support/arbitrary-tree.ts";
import { cut } from "../../support/chunked-reader.ts";

const bytes = (text: string) => text as ByteString;

test("the chunks are the NAR, and as long as its size says", () => {
  fc.assert(
    fc.property(arbitraryTree, (tree) => {
      const chunks: Uint8Array[] = [];
      const writer = new NarWriter((chunk) => void chunks.push(chunk.slice()));
      visitTree(tree, writer);
      const size = writer.finish();
      assert.equal(size, narSize(tree));
      assert(Buffer.concat(chunks).equals(encodeNar(tree)));
    }),
  );
});

test("however contents come", () => {
  const contents = Uint8Array.from({ length: 200_000 }, (_, i) => i & 255);
  const expected = encodeNar({ kind: "regular", contents });
  for (const lengths of [[1000], [1, 70_000], [16_383, 16_384], [65_536]]) {
    const chunks: Uint8Array[] = [];
    const writer = new NarWriter((chunk) => void chunks.push(chunk.slice()));
    writer.file(bytes(""), "regular", contents.length);
    for (const piece of cut(contents, lengths)) writer.contents(piece);
    writer.endFile();
    writer.finish();
    assert(Buffer.concat(chunks).equals(expected));
  }
});

test("small files share chunks", () => {
  const files = Array.from(
    { length: 1000 },
    (_, i) => [`file-${i}`, { kind: "regular", contents: new Uint8Array(100) }] as const,
  );
  let chunks = 0;
  const writer = new NarWriter(() => void chunks++);
  visitTree(directory(files), writer);
  const size = writer.finish();
  assert(chunks <= Math.ceil(size / (48 * 1024)), `${chunks} chunks for ${size} bytes`);
});

describe("what has no NAR is not written", () => {
  const cases: [string, (writer: NarWriter) => void, string][] = [
    ["name", (writer) => writer.symlink(bytes("a/b"), bytes("t")), 'entry name "a/b": it contains a slash'],
    ["long name", (writer) => writer.directory(bytes("n".repeat(256))), "at most 255 are allowed"],
    ["target", (writer) => writer.symlink(bytes("a"), bytes("")), 'target of link "a": it is empty'],
    [
      "order",
      (writer) => {
        writer.symlink(bytes("b"), bytes("t"));
        writer.symlink(bytes("a"), bytes("t"));
      },
      'entry "a" comes after "b"',
    ],
    [
      "file that grows",
      (writer) => {
        writer.file(bytes("a"), "regular", 1);
        writer.contents(new Uint8Array(2));
      },
      "a file has become longer while it was read",
    ],
    [
      "file that shrinks",
      (writer) => {
        writer.file(bytes("a"), "regular", 3);
        writer.contents(new Uint8Array(2));
        writer.endFile();
      },
      "a file has become shorter while it was read",
    ],
  ];
  for (const [what, write, reason] of cases) {
    test(what, () => {
      const writer = new NarWriter(() => {});
      writer.directory(bytes(""));
      assert.throws(
        () => write(writer),
        (error) => error instanceof CannotWriteNar && error.message.includes(reason),
      );
    });
  }
});
