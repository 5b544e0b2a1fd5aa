/** Names in `.links`: the hash of the file's own NAR, by whichever way the bytes come. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import type { ByteString } from "../../src/formats/byte-string.ts";
import { hashBytes, printBareHash } from "../../src/formats/hash.ts";
import { encodeNar, type NarTree } from "../../src/formats/nar/tree.ts";
import { fileLinkName, linkHasher, symlinkLinkName } from "../../src/store/link-hash.ts";
import { O_RDONLY, open, withDescriptor } from "../../src/sys/descriptor.ts";
import { arbitraryTarget } from "../support/arbitrary-tree.ts";
import { withStoreFixture } from "../support/store-fixture.ts";

const expected = (tree: NarTree) => printBareHash(hashBytes("sha256", encodeNar(tree)), "base32");

test("are the hash of the NAR, whatever the size", () => {
  withStoreFixture(({ dir }) => {
    const check = (size: number, kind: "regular" | "executable", piece: number) => {
      const contents = Uint8Array.from({ length: size }, (_, i) => (i * 7 + size) & 255);
      writeFileSync(`${dir}/file`, contents);
      const name = expected({ kind, contents });
      assert.equal(
        withDescriptor(open(`${dir}/file`, O_RDONLY), (fd) => fileLinkName(fd, kind, size)),
        name,
      );
      const hasher = linkHasher(kind, size);
      for (let at = 0; at < size; at += piece) {
        // Another file in between, which uses the same buffer.
        symlinkLinkName("between");
        hasher.feed(contents.subarray(at, at + piece));
      }
      assert.equal(hasher.finish(), name);
    };
    for (const size of [0, 1, 7, 8, 9, 262_135, 262_143, 262_144, 262_145, 262_151, 262_152, 524_288, 600_001])
      for (const kind of ["regular", "executable"] as const) check(size, kind, 100_000);
    fc.assert(
      fc.property(fc.nat(3000), fc.constantFrom("regular", "executable"), fc.integer({ min: 1, max: 999 }), check),
      { numRuns: 40 },
    );
  });
});

test("of links are the hash of theirs", () => {
  fc.assert(
    fc.property(arbitraryTarget, (target) => {
      assert.equal(symlinkLinkName(target), expected({ kind: "symlink", target: target as ByteString }));
    }),
  );
});

test("a file that has become shorter is an error", () => {
  withStoreFixture(({ dir }) => {
    writeFileSync(`${dir}/file`, "short");
    assert.throws(
      () => withDescriptor(open(`${dir}/file`, O_RDONLY), (fd) => fileLinkName(fd, "regular", 6)),
      /the file shrank/,
    );
  });
});
