import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bytesReader } from "../../src/formats/bytes-reader.ts";
import { hashBytes } from "../../src/formats/hash.ts";
import { makeSourcePath, makeTextPath } from "../../src/formats/make-store-path.ts";
import { createModuloHasher } from "../../src/formats/modulo-hash.ts";
import { encodeNar, type NarTree } from "../../src/formats/nar/tree.ts";
import { generateKey, printFingerprint, printKey, publicKeyOf, signText } from "../../src/formats/signature.ts";
import { hashPart, parseStorePath, type StoreDir, type StorePath } from "../../src/formats/store-path.ts";
import { addWithInfo, ContentMismatch, LacksSignature } from "../../src/store/add-with-info.ts";
import type { LocalStore } from "../../src/store/local-store.ts";
import { InvalidPath, type PathInfo } from "../../src/store/path-info.ts";
import { queryAllValidPaths, queryPathInfo } from "../../src/store/queries.ts";
import { type SettingPairs, type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";

const key = generateKey("test-1");
const trusting: SettingPairs = [["trusted-public-keys", printKey(publicKeyOf(key))]];
const somewhere = parseStorePath("11111111111111111111111111111111-somewhere");

function file(text: string): NarTree {
  return { kind: "regular", contents: Buffer.from(text) };
}

function infoOf(path: StorePath, tree: NarTree, more: Partial<PathInfo> = {}): { info: PathInfo; nar: Uint8Array } {
  const nar = encodeNar(tree);
  const info: PathInfo = {
    path,
    narHash: hashBytes("sha256", nar),
    narSize: nar.length,
    references: [],
    deriver: undefined,
    registrationTimeSec: 1,
    ultimate: false,
    signatures: [],
    contentAddress: undefined,
    ...more,
  };
  return { info, nar };
}

function sign(dir: StoreDir, info: PathInfo): PathInfo {
  return { ...info, signatures: [signText(printFingerprint(dir, { ...info, narSize: info.narSize! }), key)] };
}

function add(store: LocalStore, info: PathInfo, nar: Uint8Array, signatures: "check" | "trust" = "check") {
  return addWithInfo(store, info, bytesReader(nar, "NAR"), { signatures, mode: "normal" });
}

/** Fails with the error, and leaves nothing. */
function refuses(
  fixture: StoreFixture,
  store: LocalStore,
  error: new (...args: never) => Error,
  action: () => void,
): void {
  const before = queryAllValidPaths(store);
  assert.throws(action, error);
  assert.deepEqual(queryAllValidPaths(store), before);
  assert.deepEqual(fixture.silo(["verify", "contents"]).toString().split("\n")[0], "good");
}

describe("a path from elsewhere", () => {
  test("is taken when a trusted key has signed it as it is", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open(trusting);
      const { info, nar } = infoOf(somewhere, file("signed"));
      refuses(fixture, store, LacksSignature, () => add(store, info, nar));
      const signed = sign(store.storeDir, info);
      refuses(fixture, store, LacksSignature, () => add(store, { ...signed, narSize: info.narSize! + 1 }, nar));
      refuses(fixture, store, ContentMismatch, () => add(store, signed, encodeNar(file("other."))));
      assert.equal(add(store, signed, nar), "added");
      assert.equal(add(store, signed, new Uint8Array(0)), "already-valid");
      assert.deepEqual(queryPathInfo(store, somewhere)?.signatures, signed.signatures);
    }));

  test("needs no signature from who is trusted, or where none is asked for, but the right contents", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const { info, nar } = infoOf(somewhere, file("trusted"));
      refuses(fixture, store, LacksSignature, () => add(store, info, nar));
      refuses(fixture, store, ContentMismatch, () => add(store, info, encodeNar(file("TRUSTED")), "trust"));
      refuses(fixture, store, InvalidPath, () =>
        add(store, { ...info, references: [parseStorePath("22222222222222222222222222222222-none")] }, nar, "trust"),
      );
      assert.equal(add(store, info, nar, "trust"), "added");
      store.close();
      const open = fixture.open([["require-sigs", "false"]]);
      const { info: second, nar: secondNar } = infoOf(parseStorePath("33333333333333333333333333333333-b"), file("b"));
      assert.equal(add(open, second, secondNar), "added");
    }));

  test("needs none when its name follows from its contents, which are looked at", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const contents = hashBytes("sha256", "text");
      const path = makeTextPath(store.storeDir, "text", contents, []);
      const contentAddress = { kind: "text", hash: contents } as const;
      const { info, nar } = infoOf(path, file("text"), { contentAddress });
      const lie = infoOf(path, file("lies"), { contentAddress });
      refuses(fixture, store, ContentMismatch, () => add(store, lie.info, lie.nar));
      refuses(fixture, store, LacksSignature, () => add(store, { ...info, path: somewhere }, nar));
      const directory: NarTree = { kind: "directory", entries: new Map() };
      const tree = infoOf(path, directory, { contentAddress });
      refuses(fixture, store, ContentMismatch, () => add(store, tree.info, tree.nar));
      assert.equal(add(store, info, nar), "added");
    }));

  test("that refers to itself is hashed without its own name", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const text = (self: string) => `I am ${self}, in ${store.storeDir}`;
      const hashModulo = (self: string) => {
        const hasher = createModuloHasher(self);
        hasher.feed(encodeNar(file(text(self))));
        return hasher.finish().hash;
      };
      const hash = hashModulo("0".repeat(32));
      const path = makeSourcePath(store.storeDir, "self", hash, { others: [], self: "self" });
      assert.deepEqual(hashModulo(hashPart(path)), hash);
      const more = { references: [path], contentAddress: { kind: "fixed", method: "recursive", hash } } as const;
      const { info, nar } = infoOf(path, file(text(hashPart(path))), more);
      assert.equal(add(store, info, nar), "added");
      assert.deepEqual(queryPathInfo(store, path)?.references, [path]);
    }));
});
