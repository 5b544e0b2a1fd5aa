/**
 * Our NARs against those of stock Nix. Without Nix the tests are skipped, unless SILO_REQUIRE_PEERS is 1. For Bun: the
 * node:fs of Deno does not keep names that are not UTF-8.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { decodeNar, encodeNar } from "../../src/formats/nar/tree.ts";
import { arbitraryTree, deepTree, flatten } from "../support/arbitrary-tree.ts";
import { putOnDisk } from "../support/tree-on-disk.ts";

const dir = mkdtempSync(join(tmpdir(), "nar-differential-"));
after(() => rmSync(dir, { recursive: true, force: true }));

const { NIX_REMOTE: _, ...inherited } = process.env;
const env = {
  ...inherited,
  NIX_STORE_DIR: join(dir, "store"),
  NIX_STATE_DIR: join(dir, "state"),
  NIX_CONF_DIR: join(dir, "conf"),
};

function nixStore(args: readonly string[], input?: Uint8Array): Buffer {
  const { status, stdout, stderr, error } = spawnSync("nix-store", args, { env, input, maxBuffer: 1 << 30 });
  if (error !== undefined) throw error;
  assert.equal(status, 0, String(stderr));
  return stdout;
}

const version = spawnSync("nix-store", ["--version"], { env });
const isMissing = version.error !== undefined;
const skip = isMissing && process.env["SILO_REQUIRE_PEERS"] !== "1" ? "nix-store is not installed" : false;
/** The fixtures are of this version; others order the fields of a listing otherwise. */
const isFixtureVersion = String(version.stdout).trim().endsWith(" 2.8.0");

let count = 0;
const freshPath = () => join(dir, `tree-${count++}`);

test("nix-store --dump gives the same bytes", { skip }, () => {
  fc.assert(
    fc.property(arbitraryTree, (tree) => {
      const path = freshPath();
      putOnDisk(tree, Buffer.from(path));
      const theirs = nixStore(["--dump", path]);
      assert(theirs.equals(encodeNar(tree)), "another NAR");
      assert.deepEqual(flatten(decodeNar(theirs).tree), flatten(tree));
    }),
    { numRuns: 40, examples: [[deepTree(63)]] },
  );
});

test("nix-store --restore accepts our bytes", { skip }, () => {
  fc.assert(
    fc.property(arbitraryTree, (tree) => {
      const path = freshPath();
      const nar = encodeNar(tree);
      nixStore(["--restore", path], nar);
      assert(nixStore(["--dump", path]).equals(nar), "another tree");
    }),
    { numRuns: 20, examples: [[deepTree(63)]] },
  );
});

test("the fixtures are what Nix 2.8.0 makes", { skip: skip || (isFixtureVersion ? false : "not Nix 2.8.0") }, () => {
  const made = join(dir, "fixtures");
  const script = new URL("../fixtures/nar/make.sh", import.meta.url).pathname;
  const key = new URL("../fixtures/nar/tree.secret-key", import.meta.url).pathname;
  const { status, stderr } = spawnSync(
    "sh",
    ["-c", 'mkdir "$1" && cp "$3" "$1" && sh "$2" "$1"', "sh", made, script, key],
    { env },
  );
  assert.equal(status, 0, String(stderr));
  for (const name of ["hello.nar", "tree.nar", "tree.ls", "tree.narinfo", "b.export"]) {
    const committed = readFileSync(new URL(`../fixtures/nar/${name}`, import.meta.url));
    assert(readFileSync(join(made, name)).equals(committed), `${name} differs`);
  }
});
