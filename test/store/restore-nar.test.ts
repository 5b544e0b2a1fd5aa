/** Dumping to a descriptor and restoring from one, where large files go past this process. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { SiloError } from "../../src/error.ts";
import { encodeNar, type NarTree } from "../../src/formats/nar/tree.ts";
import { dumpTree, dumpTreeTo } from "../../src/store/tree/nar-hash.ts";
import { restoreTree } from "../../src/store/tree/restore.ts";
import { restoreNar } from "../../src/store/tree/restore-nar.ts";
import { O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY, open, withDescriptor } from "../../src/sys/descriptor.ts";
import { fdReader } from "../../src/sys/fd-reader.ts";
import { executable, file, folder, link, placeTree, readTree } from "../support/place-tree.ts";
import { withStoreFixture } from "../support/store-fixture.ts";

const large = "0123456789abcdef".repeat(40_000);
const trees: Readonly<Record<string, NarTree>> = {
  "a large file": file(large),
  "large and small ones": folder({
    a: file("a"),
    b: executable(`${large}b`),
    c: file("x".repeat(65_536)),
    d: folder({ e: file(large.slice(0, 262_144)), f: file(large.slice(0, 262_145)), g: link("b") }),
    z: file(""),
  }),
};

for (const [name, tree] of Object.entries(trees)) {
  describe(name, () => {
    test("is written as its NAR, to files and pipes", () => {
      withStoreFixture(({ dir }) => {
        placeTree(tree, `${dir}/x`);
        const nar = encodeNar(tree);
        withDescriptor(open(`${dir}/nar`, O_WRONLY | O_CREAT | O_TRUNC, 0o600), (fd) => dumpTreeTo(fd, `${dir}/x`));
        assert(readFileSync(`${dir}/nar`).equals(nar), "another NAR");
        const chunks: Buffer[] = [];
        dumpTree(`${dir}/x`, (chunk) => chunks.push(Buffer.from(chunk)));
        assert(Buffer.concat(chunks).equals(nar), "another NAR");
      });
    });

    test("is restored from files", () => {
      withStoreFixture(({ dir }) => {
        const nar = encodeNar(tree);
        writeFileSync(`${dir}/nar`, Buffer.concat([nar, Buffer.from("behind")]));
        withDescriptor(open(`${dir}/nar`, O_RDONLY), (fd) => {
          const reader = fdReader(fd, "nar");
          restoreNar(reader, restoreTree(`${dir}/x`, "plain"));
          assert.equal(reader.offset, nar.length);
          assert.equal(Buffer.from(reader.take(6)).toString(), "behind");
          assert(reader.atEnd());
        });
        assert(Buffer.from(encodeNar(readTree(`${dir}/x`))).equals(nar), "another tree");
      });
    });

    test("that ends early is an error, wherever it ends", () => {
      withStoreFixture(({ dir }) => {
        const nar = encodeNar(tree);
        [100, 300_000, nar.length - 1].forEach((end, i) => {
          writeFileSync(`${dir}/nar`, nar.subarray(0, end));
          const restorer = restoreTree(`${dir}/x${i}`, "plain");
          withDescriptor(open(`${dir}/nar`, O_RDONLY), (fd) => {
            assert.throws(() => restoreNar(fdReader(fd, "nar"), restorer), SiloError);
          });
          restorer.abandon();
        });
      });
    });
  });
}

test("a pipe is as good as a file", async () => {
  await withStoreFixture(async (fixture) => {
    const { dir } = fixture;
    const tree = trees["large and small ones"]!;
    placeTree(tree, `${dir}/x`);
    const nar = encodeNar(tree);
    const { status, stdout } = fixture.trySilo(["dump", `${dir}/x`]);
    assert.equal(status, 0);
    assert(stdout.equals(nar), "another NAR");
    fixture.silo(["restore", `${dir}/y`], nar);
    assert(Buffer.from(encodeNar(readTree(`${dir}/y`))).equals(nar), "another tree");
  });
});
