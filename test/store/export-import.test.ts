/** Export and import: between stores of ours and of stock Nix, with and without RSA signatures, and streams that are bad. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { bytesReader } from "../../src/formats/bytes-reader.ts";
import { rsaSigner, rsaVerifier } from "../../src/formats/rsa-signature.ts";
import type { StorePath } from "../../src/formats/store-path.ts";
import { SiloError } from "../../src/error.ts";
import { addPath, addText, recursiveSha256 } from "../../src/store/add.ts";
import { CorruptPath, exportPaths, type ItemSigner } from "../../src/store/export.ts";
import { BadSignature, importPaths, type ItemVerifier } from "../../src/store/import.ts";
import { type LocalStore, realPath } from "../../src/store/local-store.ts";
import { InvalidPath } from "../../src/store/path-info.ts";
import { queryAllValidPaths, queryPathInfo, requirePathInfo } from "../../src/store/queries.ts";
import { invalidatePath, registerValidPaths } from "../../src/store/register.ts";
import { verifyStore } from "../../src/store/verify.ts";
import { deleteTree } from "../../src/sys/delete-tree.ts";
import { executable, file, folder, link, placeTree, readTree } from "../support/place-tree.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const tree = folder({ a: file("a"), b: executable("b"), c: link("/c"), d: folder({ e: file("x".repeat(100_000)) }) });

/** A tree, a text that refers to it, and one that refers to both and is said to have been made by the first. */
function fill(fixture: StoreFixture, store: LocalStore): StorePath[] {
  placeTree(tree, `${fixture.dir}/tree`);
  const first = addPath(store, `${fixture.dir}/tree`, { name: "tree", method: recursiveSha256 });
  const second = addText(store, "second", Buffer.from("2"), [first]);
  const third = addText(store, "third", Buffer.from("3"), [first, second]);
  store.db.exec(`update ValidPaths set deriver = '${fixture.storeDir}/${first}' where path like '%-third'`);
  return [first, second, third];
}

function exported(store: LocalStore, paths: readonly StorePath[], sign?: ItemSigner): Buffer {
  const chunks: Buffer[] = [];
  exportPaths(store, paths, (chunk) => chunks.push(Buffer.from(chunk)), sign);
  return Buffer.concat(chunks);
}

function forget(store: LocalStore, paths: readonly StorePath[]): void {
  for (const path of [...paths].reverse()) {
    invalidatePath(store, path);
    deleteTree(realPath(store, path));
  }
}

const leftovers = (fixture: StoreFixture) => readdirSync(fixture.storeDir).filter((name) => name !== ".links");

describe("a closure", () => {
  test("goes out and comes back", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const paths = fill(fixture, store);
      const before = paths.map((path) => requirePathInfo(store, path));
      const stream = exported(store, paths);
      forget(store, paths);
      const told: StorePath[] = [];
      assert.deepEqual(
        importPaths(store, bytesReader(stream, "stream"), undefined, (path) => void told.push(path)),
        paths,
      );
      assert.deepEqual(told, paths);
      paths.forEach((path, i) => {
        const info = requirePathInfo(store, path);
        const expected = { ...before[i]!, contentAddress: undefined, registrationTimeSec: info.registrationTimeSec };
        assert.deepEqual(info, expected);
      });
      assert.deepEqual(readTree(realPath(store, paths[0]!)), tree);
      assert.equal(verifyStore(store, { contents: "hash-contents", repair: undefined }), "good");
      assert.deepEqual(exported(store, paths), stream);
      // Again, into a store that has them.
      assert.deepEqual(importPaths(store, bytesReader(stream, "stream")), paths);
      assert.equal(leftovers(fixture).length, 3);
    });
  });

  test("goes between stock Nix and us, byte for byte", { skip: skipWithoutNix }, () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const paths = fill(fixture, store);
      const full = paths.map((path) => `${fixture.storeDir}/${path}`);
      const stream = exported(store, paths);
      assert(fixture.nix(["--export", ...full]).equals(stream), "another stream");
      forget(store, paths);
      assert.equal(String(fixture.nix(["--import"], stream)), full.map((path) => `${path}\n`).join(""));
      assert.equal(queryAllValidPaths(store).length, 3);
      forget(store, paths);
      importPaths(store, bytesReader(stream, "stream"));
      assert.equal(String(fixture.nix(["--verify", "--check-contents"])), "");
      const theirs = fixture.rows(
        "select path, hash, narSize, ultimate, sigs, ca, deriver from ValidPaths order by path",
      );
      forget(store, paths);
      fixture.nix(["--import"], stream);
      assert.deepEqual(
        fixture.rows("select path, hash, narSize, ultimate, sigs, ca, deriver from ValidPaths order by path"),
        theirs,
      );
    });
  });

  test("that has changed on disk does not go out", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const [first] = fill(fixture, store);
      const real = realPath(store, first!);
      deleteTree(real);
      placeTree(folder({ other: file("") }), real);
      assert.throws(
        () => exported(store, [first!]),
        (error) =>
          error instanceof CorruptPath && error.path.endsWith("-tree") && /has changed from/.test(error.message),
      );
      // An old store did not know the hash: then anything goes.
      fixture.execute(`update ValidPaths set hash = 'sha256:${"0".repeat(64)}'`);
      exported(store, [first!]);
    });
  });

  test("that is not valid does not go out", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const [first, second, third] = fill(fixture, store) as [StorePath, StorePath, StorePath];
      invalidatePath(store, third);
      assert.throws(() => exported(store, [first, third, second]), InvalidPath);
    });
  });
});

describe("references that are not there", () => {
  test("are refused, and nothing is left", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const paths = fill(fixture, store);
      const stream = exported(store, [paths[1]!]);
      forget(store, paths);
      assert.throws(
        () => importPaths(store, bytesReader(stream, "stream")),
        (error) => error instanceof InvalidPath && error.path === `${fixture.storeDir}/${paths[0]}`,
      );
      assert.deepEqual(leftovers(fixture), []);
      assert.equal(queryPathInfo(store, paths[1]!), undefined);
    });
  });
});

describe("streams that are cut or damaged", () => {
  test("at any byte give an error and nothing else", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const path = addText(store, "small", Buffer.from("contents"), []);
      const stream = exported(store, [path]);
      forget(store, [path]);
      for (let end = 0; end < stream.length; end += 3) {
        assert.throws(
          () => importPaths(store, bytesReader(stream.subarray(0, end), "stream")),
          SiloError,
          `cut at ${end}`,
        );
        if (queryPathInfo(store, path) !== undefined) {
          assert(end >= stream.length - 8, `valid although cut at ${end}`);
          forget(store, [path]);
        }
      }
      for (let at = 0; at < stream.length; at += 1) {
        const damaged = Buffer.from(stream);
        damaged[at]! ^= 0x80;
        try {
          importPaths(store, bytesReader(damaged, "stream"));
        } catch (error) {
          assert(error instanceof SiloError, `at ${at}: ${error}`);
        }
        forget(store, queryAllValidPaths(store));
      }
      assert.deepEqual(leftovers(fixture), []);
    });
  });

  test("of large trees leave nothing on disk", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      writeFileSync(`${fixture.dir}/big`, Buffer.alloc(12 << 20, "x"));
      const path = addPath(store, `${fixture.dir}/big`, { name: "big", method: recursiveSha256 });
      const stream = exported(store, [path]);
      forget(store, [path]);
      for (const end of [9 << 20, stream.length - 200, stream.length - 20]) {
        assert.throws(() => importPaths(store, bytesReader(stream.subarray(0, end), "stream")), SiloError);
        assert.deepEqual(leftovers(fixture), []);
      }
    });
  });
});

describe("signatures", () => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  const hashOf = (hex: string) => ({ algo: "sha256", bytes: new Uint8Array(Buffer.from(hex, "hex")) }) as const;
  const sign: ItemSigner = (hex) => rsaSigner(privateKey)(hashOf(hex));
  const verify: ItemVerifier = (signature, hex) => rsaVerifier(publicKey)(hashOf(hex), signature);

  test("of what was signed are accepted", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const paths = fill(fixture, store);
      const stream = exported(store, paths, sign);
      forget(store, paths);
      assert.deepEqual(importPaths(store, bytesReader(stream, "stream"), verify), paths);
      forget(store, paths);
      assert.deepEqual(importPaths(store, bytesReader(stream, "stream")), paths);
    });
  });

  test("are passed over by stock Nix", { skip: skipWithoutNix }, () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const paths = fill(fixture, store);
      const stream = exported(store, paths, sign);
      forget(store, paths);
      fixture.nix(["--import"], stream);
      assert.equal(queryAllValidPaths(store).length, 3);
    });
  });

  test("missing, of other contents or of another key are refused", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const paths = fill(fixture, store);
      const first = paths[0]!;
      const unsigned = exported(store, [first]);
      const signed = exported(store, [first], sign);
      const other = generateKeyPairSync("rsa", {
        modulusLength: 2048,
        privateKeyEncoding: { type: "pkcs1", format: "pem" },
        publicKeyEncoding: { type: "spki", format: "pem" },
      });
      const foreign = exported(store, [first], (hex) => rsaSigner(other.privateKey)(hashOf(hex)));
      forget(store, paths);
      const refused = (stream: Uint8Array, text: RegExp) => {
        assert.throws(
          () => importPaths(store, bytesReader(stream, "stream"), verify),
          (error) => error instanceof BadSignature && text.test(error.message),
        );
        assert.deepEqual(leftovers(fixture), []);
      };
      refused(unsigned, /lacks a signature/);
      refused(foreign, /signed hash doesn't match/);
      const changed = Buffer.from(signed);
      changed[changed.indexOf("x".repeat(64))] = 0x79;
      refused(changed, /signed hash doesn't match/);
    });
  });
});

test("an import whose parent holds the lock does not wait for it", async () => {
  await withStoreFixture(async (fixture) => {
    const store = fixture.open();
    const path = addText(store, "a", Buffer.from("a"), []);
    const stream = exported(store, [path]);
    forget(store, [path]);
    store.close();
    const full = `${fixture.storeDir}/${path}`;
    const holder = fixture.startSilo(["hold-path-lock", full]);
    await new Promise((held) => holder.stdout!.once("data", held));
    fixture.env["NIX_HELD_LOCKS"] = full;
    fixture.silo(["import"], stream);
    assert(existsSync(full));
    holder.stdin!.end();
    await new Promise((exited) => holder.on("exit", exited));
  });
});

test("what is registered can be registered again", () => {
  withStoreFixture((fixture) => {
    const store = fixture.open();
    const paths = fill(fixture, store);
    const infos = paths.map((path) => requirePathInfo(store, path));
    registerValidPaths(store, infos);
    assert.deepEqual(
      paths.map((path) => requirePathInfo(store, path)),
      infos,
    );
  });
});
