import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  BadStorePath,
  hashPart,
  isDerivationPath,
  isInStore,
  nameFault,
  nameOf,
  parseFullStorePath,
  parseStoreDir,
  parseStorePath,
  printStorePath,
  toStorePath,
  tryParseStorePath,
} from "../../src/formats/store-path.ts";
import { arbitraryDamage, arbitraryStorePath, nixStore } from "../support/arbitrary-store-path.ts";

const hash = "xfp2hphvk98rkk9ywlqpp587rjdcgnc2";

test("parts of a path", () => {
  const path = parseFullStorePath(nixStore, `/nix/store/${hash}-hello.txt`);
  assert.deepEqual([path, hashPart(path), nameOf(path)], [`${hash}-hello.txt`, hash, "hello.txt"]);
  assert.equal(printStorePath(nixStore, path), `/nix/store/${hash}-hello.txt`);
  assert.equal(toStorePath(nixStore, `/nix/store/${hash}-hello.txt/bin/x`), path);
  assert.equal(isDerivationPath(path), false);
  assert.equal(isDerivationPath(parseStorePath(`${hash}-a.drv`)), true);
});

describe("names, as in today's Nix", () => {
  const valid = ["a", "+-._?=", ".gitignore", "...", "..a", ".a-", "-", "0", "x".repeat(211)];
  const invalid = [
    "",
    ".",
    "..",
    ".-",
    "..-",
    ".-a",
    "..-a",
    "a/b",
    "a b",
    "ä",
    "a\0",
    "a\n",
    "x".repeat(212),
    "~",
    "%",
    "a,b",
  ];
  for (const name of valid) test(`valid: ${JSON.stringify(name)}`, () => assert.equal(nameFault(name), undefined));
  for (const name of invalid)
    test(`invalid: ${JSON.stringify(name)}`, () => assert.notEqual(nameFault(name), undefined));
});

test("what is no path is refused", () => {
  const bad = [
    "",
    hash,
    `${hash}-`,
    `${hash}a`,
    `${hash.replace("x", "e")}-a`,
    `${hash.toUpperCase()}-a`,
    `${hash.slice(1)}-a`,
    ` ${hash}-a`,
    `${hash}-a\n`,
    `${hash}-a/b`,
  ];
  for (const text of bad) {
    assert.throws(() => parseStorePath(text), { code: "bad-store-path" }, JSON.stringify(text));
    assert.equal(tryParseStorePath(text), undefined);
  }
  for (const text of [
    `/nix/stores/${hash}-a`,
    "/nix/store",
    "/nix/store/",
    `/nix/store//${hash}-a`,
    `nix/store/${hash}-a`,
  ])
    assert.throws(() => parseFullStorePath(nixStore, text), { code: "bad-store-path" }, text);
});

test("store directories", () => {
  for (const dir of ["/nix/store", "/s", "/a/..b", "/a/.b"]) assert.equal(parseStoreDir(dir), dir);
  for (const dir of ["", "/", "nix/store", "/nix/store/", "/nix//store", "/nix/./store", "/nix/..", "/../a"])
    assert.throws(() => parseStoreDir(dir), { code: "bad-store-path" }, dir);
  assert.equal(isInStore(nixStore, "/nix/store/.links"), true);
  assert.equal(isInStore(nixStore, "/nix/store"), false);
  assert.equal(isInStore(nixStore, "/nix/store2/x"), false);
});

test("parse undoes print, and damage is read or refused", () => {
  fc.assert(
    fc.property(arbitraryStorePath, (path) => {
      assert.equal(parseFullStorePath(nixStore, printStorePath(nixStore, path)), path);
    }),
  );
  fc.assert(
    fc.property(arbitraryDamage(arbitraryStorePath.map((path) => printStorePath(nixStore, path))), (text) => {
      try {
        assert.equal(printStorePath(nixStore, parseFullStorePath(nixStore, text)), text);
      } catch (error) {
        assert.ok(error instanceof BadStorePath, String(error));
      }
    }),
  );
});
