/** Optimising: which files share an inode, with which names, and that two can do it at the same time. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, linkSync, lstatSync, mkdirSync, readdirSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { NarTree } from "../../src/formats/nar/tree.ts";
import type { StorePath } from "../../src/formats/store-path.ts";
import { addPath, recursiveSha256 } from "../../src/store/add.ts";
import { type LocalStore, realPath } from "../../src/store/local-store.ts";
import { optimiseStore } from "../../src/store/optimise.ts";
import { verifyStore } from "../../src/store/verify.ts";
import { executable, file, folder, link, placeTree } from "../support/place-tree.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

function add(fixture: StoreFixture, store: LocalStore, name: string, tree: NarTree): StorePath {
  placeTree(tree, `${fixture.dir}/${name}`);
  return addPath(store, `${fixture.dir}/${name}`, { name, method: recursiveSha256 });
}

const optimise = (store: LocalStore) => optimiseStore(store, () => {});
const links = (fixture: StoreFixture) => readdirSync(`${fixture.storeDir}/.links`).sort();
const inode = (path: string) => lstatSync(path).ino;

function checkGood(store: LocalStore): void {
  assert.equal(verifyStore(store, { contents: "hash-contents", repair: undefined }), "good");
}

describe("files with the same contents", () => {
  test("become one inode, by the names that Nix gives; kind and execute bit are contents", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      // Vectors of store-layout, "optimise", checked with Nix 2.8.0.
      const tree = folder({ f: file("hello"), x: executable("hello"), l: link("target") });
      const one = realPath(store, add(fixture, store, "one", tree));
      const two = realPath(store, add(fixture, store, "two", folder({ d: tree, f: file("hello") })));
      const stats = optimise(store);
      assert.deepEqual(links(fixture), [
        "0sg9f58l1jj88w6pdrfdpj5x9b1zrwszk84j81zvby36q9whhhqa",
        "0x67g3311ihxwarw846p2jc8wbxmv9bd8ryh7qjpp6d8yb56536b",
        "1pm3sl0kwg6q94zcndf65j7zh0j368wjfw27v9kx96pb2bwi9y4w",
      ]);
      assert.deepEqual([stats.filesLinked, stats.bytesFreed], [4, 5 + 5 + 5 + 6]);
      assert(stats.blocksFreed > 0);
      for (const name of ["f", "x", "l"]) assert.equal(inode(`${one}/${name}`), inode(`${two}/d/${name}`), name);
      assert.equal(inode(`${one}/f`), inode(`${two}/f`));
      for (const directory of [one, two, `${two}/d`]) {
        assert.equal(statSync(directory).mtimeMs, 1000);
        assert.equal(statSync(directory).mode & 0o7777, 0o555);
      }
      assert.deepEqual(optimise(store), { filesLinked: 0, bytesFreed: 0, blocksFreed: 0 });
      checkGood(store);
      assert.deepEqual(
        readdirSync(fixture.storeDir).filter((name) => name.startsWith(".tmp-link")),
        [],
      );
    });
  });

  test("also at the top of the store, whose own time and mode stay", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const a = add(fixture, store, "a", file("same"));
      const b = add(fixture, store, "b", file("same"));
      chmodSync(fixture.storeDir, 0o1775);
      assert.equal(optimise(store).filesLinked, 1);
      assert.equal(inode(realPath(store, a)), inode(realPath(store, b)));
      assert.equal(statSync(fixture.storeDir).mode & 0o7777, 0o1775);
      assert.notEqual(statSync(fixture.storeDir).mtimeMs, 1000);
    });
  });

  test("are linked as they are added where the setting says so", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open([["auto-optimise-store", "true"]]);
      const a = add(fixture, store, "a", folder({ f: file("same") }));
      const b = add(fixture, store, "b", folder({ g: file("same"), h: file("other") }));
      assert.equal(inode(`${realPath(store, a)}/f`), inode(`${realPath(store, b)}/g`));
      assert.equal(links(fixture).length, 2);
      checkGood(store);
    });
  });
});

describe("what does not take part", () => {
  test("files that somebody made writable, which is told", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const a = `${realPath(store, add(fixture, store, "a", folder({ f: file("same") })))}/f`;
      const b = `${realPath(store, add(fixture, store, "b", folder({ f: file("same"), g: file("g") })))}/f`;
      chmodSync(a, 0o644);
      assert.equal(optimise(store).filesLinked, 0);
      assert.deepEqual(fixture.messages, [`warning: skipping suspicious writable file '${a}'`]);
      assert.notEqual(inode(a), inode(b));
    });
  });

  test("files whose inode has all the links it can have", { skip: linkLimitFault() }, () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const a = `${realPath(store, add(fixture, store, "a", folder({ f: file("same") })))}/f`;
      optimise(store);
      const many = `${fixture.dir}/many`;
      mkdirSync(many);
      for (let i = 0; ; i++) {
        try {
          linkSync(a, `${many}/${i}`);
        } catch {
          break;
        }
      }
      const b = `${realPath(store, add(fixture, store, "b", folder({ f: file("same") })))}/f`;
      assert.equal(optimise(store).filesLinked, 0);
      assert.notEqual(inode(a), inode(b));
      assert(fixture.messages.some((message) => message.endsWith("has maximum number of links")));
      unlinkSync(`${many}/0`);
      unlinkSync(`${many}/1`);
      assert.equal(optimise(store).filesLinked, 1);
      checkGood(store);
    });
  });
});

/** Making the links takes seconds, so only in the long form; and only where there is a limit within reach. */
function linkLimitFault(): string | false {
  if (process.env["SILO_LONG"] !== "1") return "SILO_LONG is not 1";
  const { stdout } = spawnSync("stat", ["-f", "-c", "%T", "/tmp"]);
  return String(stdout).startsWith("ext") ? false : "no limit within reach on this file system";
}

describe("a link that is damaged", () => {
  test("is replaced when its size tells", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const a = `${realPath(store, add(fixture, store, "a", folder({ f: file("same") })))}/f`;
      optimise(store);
      const damaged = `${fixture.storeDir}/.links/${links(fixture)[0]}`;
      unlinkSync(damaged);
      writeFileSync(damaged, "cut");
      assert.equal(optimise(store).filesLinked, 0);
      assert.equal(inode(damaged), inode(a));
      assert.match(fixture.messages.join(), /removing corrupted link '.links\/\w{52}'/);
      checkGood(store);
    });
  });
});

describe("at the same time", () => {
  const trees = (seed: number): NarTree =>
    folder(
      Object.fromEntries(
        Array.from({ length: 6 }, (_, d) => [
          `d${d}`,
          folder(Object.fromEntries(Array.from({ length: 30 }, (_, f) => [`f${f}`, file(`${(f * (d + seed)) % 97}`)]))),
        ]),
      ),
    );

  test("several of us and stock Nix leave every file linked and every path good", {
    skip: skipWithoutNix,
  }, async () => {
    await withStoreFixture(async (fixture) => {
      const store = fixture.open();
      for (let i = 0; i < 4; i++) add(fixture, store, `t${i}`, trees(i));
      const ours = [1, 2].map(() => fixture.startSilo(["optimise"]));
      const theirs = spawn("nix-store", ["--optimise"], { env: fixture.env, stdio: "ignore" });
      const statuses = await Promise.all([...ours, theirs].map((each) => new Promise((done) => each.on("exit", done))));
      assert.deepEqual(statuses, [0, 0, 0]);
      const counts = new Map<number, number>();
      for (const name of links(fixture)) counts.set(inode(`${fixture.storeDir}/.links/${name}`), 0);
      const { stdout } = spawnSync("find", [
        fixture.storeDir,
        "-type",
        "f",
        "-not",
        "-path",
        "*/.links/*",
        "-printf",
        "%i\\n",
      ]);
      for (const each of String(stdout).trim().split("\n"))
        counts.set(Number(each), (counts.get(Number(each)) ?? 0) + 1);
      assert.equal(counts.size, links(fixture).length);
      checkGood(store);
      assert.equal(String(fixture.nix(["--verify", "--check-contents"])), "");
      assert.match(fixture.tryNix(["--optimise"]).stderr.toString(), /0.00 MiB freed by hard-linking 0 files/);
    });
  });
});
