/** Permanent roots, as stock Nix's collector finds them. */
import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { test } from "node:test";
import { addText } from "../../src/store/add.ts";
import { addIndirectRoot, addPermanentRoot, CannotCreateRoot } from "../../src/store/roots.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

test("a link anywhere, found again by the hash of its path", () => {
  withStoreFixture((fixture) => {
    addIndirectRoot(`${fixture.dir}/state`, "/home/u/result");
    const auto = `${fixture.dir}/state/gcroots/auto`;
    // Vector of store-layout, "Roots"; checked with Nix 2.8.0.
    assert.deepEqual(readdirSync(auto), ["jlknlzmcc8vgpkzq233mzp2rfy9pnn48"]);
    assert.equal(readlinkSync(`${auto}/jlknlzmcc8vgpkzq233mzp2rfy9pnn48`), "/home/u/result");
    addIndirectRoot(`${fixture.dir}/state`, "/home/u/result");
    assert.equal(readdirSync(auto).length, 1);
  });
});

test("keeps its path from stock Nix's collector, as long as it is there", { skip: skipWithoutNix }, () => {
  withStoreFixture((fixture) => {
    const store = fixture.open();
    const [first, second] = ["1", "2"].map((name) => addText(store, name, Buffer.from(name), [])) as [never, never];
    const root = `${fixture.dir}/links/below/result`;
    addPermanentRoot(store, first, root);
    store.close();
    const valid = (path: string, reader: StoreFixture = fixture) => existsSync(`${reader.storeDir}/${path}`);
    fixture.nix(["--gc"]);
    assert(valid(first) && !valid(second));
    const again = fixture.open();
    const third = addText(again, "3", Buffer.from("3"), []);
    addPermanentRoot(again, third, root);
    again.close();
    fixture.nix(["--gc"]);
    assert(!valid(first) && valid(third));
    unlinkSync(root);
    fixture.nix(["--gc"]);
    assert(!valid(third));
    assert.deepEqual(readdirSync(`${fixture.dir}/state/gcroots/auto`), []);
  });
});

test("is not made over what is no root, nor inside the store", () => {
  withStoreFixture((fixture) => {
    const store = fixture.open();
    const path = addText(store, "a", Buffer.from("a"), []);
    writeFileSync(`${fixture.dir}/file`, "precious");
    symlinkSync("/etc/passwd", `${fixture.dir}/link`);
    mkdirSync(`${fixture.dir}/folder`);
    for (const name of ["file", "link", "folder", `store/${path}`, "store/x"]) {
      assert.throws(() => addPermanentRoot(store, path, `${fixture.dir}/${name}`), CannotCreateRoot, name);
    }
    assert.equal(readlinkSync(`${fixture.dir}/link`), "/etc/passwd");
    assert(lstatSync(`${fixture.dir}/file`).isFile());
    assert(!existsSync(`${fixture.dir}/state/gcroots/auto`));
  });
});
