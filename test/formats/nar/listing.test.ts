import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { type ByteString, fromText } from "../../../src/formats/byte-string.ts";
import { runSync } from "../../../src/formats/codec.ts";
import { ListingBuilder, UnlistableName } from "../../../src/formats/nar/listing.ts";
import { readNar } from "../../../src/formats/nar/read-nar.ts";
import { encodeNar, type NarTree, visitTree } from "../../../src/formats/nar/tree.ts";
import { arbitraryTree, directory } from "../../support/arbitrary-tree.ts";
import { chunkedReader } from "../../support/chunked-reader.ts";

const fixture = (name: string) => new Uint8Array(readFileSync(new URL(`../../fixtures/nar/${name}`, import.meta.url)));

test("the listing of Nix 2.8.0", () => {
  const listing = new ListingBuilder();
  runSync(readNar(listing), chunkedReader(fixture("tree.nar")));
  assert.equal(listing.finish(), Buffer.from(fixture("tree.ls")).toString());
});

test("of a single file", () => {
  const listing = new ListingBuilder();
  runSync(readNar(listing), chunkedReader(fixture("hello.nar")));
  assert.equal(listing.finish(), '{"version":1,"root":{"type":"regular","size":5,"narOffset":96}}');
});

test("names and targets are text", () => {
  const listing = new ListingBuilder();
  visitTree(directory([[fromText('é"\n'), { kind: "symlink", target: fromText("→") }]]), listing);
  assert.equal(
    listing.finish(),
    '{"version":1,"root":{"type":"directory","entries":{"é\\"\\n":{"type":"symlink","target":"→"}}}}',
  );
  const bytes = "\xff" as ByteString;
  assert.throws(() => new ListingBuilder().symlink("" as ByteString, bytes), new UnlistableName(bytes));
});

type Listed =
  | { type: "directory"; entries: Record<string, Listed> }
  | { type: "regular"; size: number; executable?: true; narOffset: number }
  | { type: "symlink"; target: string };

test("finds every file in the NAR", () => {
  fc.assert(
    fc.property(arbitraryTree, (tree) => {
      const nar = encodeNar(tree);
      const listing = new ListingBuilder();
      try {
        visitTree(tree, listing);
      } catch (error) {
        if (error instanceof UnlistableName) return;
        throw error;
      }
      check(tree, (JSON.parse(listing.finish()) as { root: Listed }).root);

      function check(node: NarTree, listed: Listed): void {
        if (node.kind === "directory") {
          assert(listed.type === "directory");
          assert.deepEqual(Object.keys(listed.entries).map(fromText).sort(), [...node.entries.keys()].sort());
          for (const [name, child] of Object.entries(listed.entries)) check(node.entries.get(fromText(name))!, child);
        } else if (node.kind === "symlink") {
          assert.deepEqual(listed, { type: "symlink", target: Buffer.from(node.target, "latin1").toString() });
        } else {
          assert(listed.type === "regular");
          assert.equal(listed.executable === true, node.kind === "executable");
          const contents = nar.subarray(listed.narOffset, listed.narOffset + listed.size);
          assert(Buffer.compare(contents, node.contents) === 0);
        }
      }
    }),
  );
});
