import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { printContentAddress } from "../../src/formats/content-address.ts";
import { hashBytes, parseBareHash, printBareHash } from "../../src/formats/hash.ts";
import {
  derivationName,
  downstreamPlaceholder,
  makeContentAddressedPath,
  makeFixedOutputPath,
  makeFloatingScratchPath,
  makeOutputPath,
  makeScratchPath,
  makeSourcePath,
  makeTextPath,
  outputPathName,
  outputPlaceholder,
} from "../../src/formats/make-store-path.ts";
import { createModuloHasher } from "../../src/formats/modulo-hash.ts";
import { parseStoreDir, parseStorePath } from "../../src/formats/store-path.ts";
import { nixStore } from "../support/arbitrary-store-path.ts";

const sha256 = (hex: string) => parseBareHash(hex, "sha256");
const noOthers = { others: [], self: "no-self" } as const;
const helloNar = sha256("0a430879c266f8b57f4092a0f935cf3facd48bbccde5760d4748ca405171e969");

describe("fixed contents (Nix 2.8.0)", () => {
  test("a tree by recursive sha256", () => {
    const expected = "xfp2hphvk98rkk9ywlqpp587rjdcgnc2-hello.txt";
    assert.equal(makeSourcePath(nixStore, "hello.txt", helloNar, noOthers), expected);
    assert.equal(makeFixedOutputPath(nixStore, "hello.txt", "recursive", helloNar), expected);
  });

  test("flat sha256, recursive sha1, flat md5", () => {
    const flat = makeFixedOutputPath(nixStore, "hello.txt", "flat", hashBytes("sha256", "hello"));
    assert.equal(flat, "iixxin28s82lrxs8v4lcf7nha2dkwprm-hello.txt");
    const narSha1 = parseBareHash("5144612b23081da49ab008bd0b73960b6a2b7fe9", "sha1");
    const recursive = makeFixedOutputPath(nixStore, "hello.txt", "recursive", narSha1);
    assert.equal(recursive, "a4m0z74z4awk987yxfpz3q1vb34901vn-hello.txt");
    const md5 = makeFixedOutputPath(nixStore, "hello.txt", "flat", hashBytes("md5", "hello"));
    assert.equal(md5, "kckpqk5dy7g82i6w9vjmp4n2ilz1m9sk-hello.txt");
  });

  test("only recursive sha256 may have references", () => {
    const others = [parseStorePath("az31knmcmkcvqp327ha4d0jxlpimbbi3-dep")];
    const sha1 = hashBytes("sha1", "");
    for (const references of [{ others, self: "no-self" } as const, { others: [], self: "self" } as const]) {
      const code = "references-not-allowed";
      assert.throws(() => makeFixedOutputPath(nixStore, "x", "flat", helloNar, references), { code });
      assert.throws(() => makeFixedOutputPath(nixStore, "x", "recursive", sha1, references), { code });
      makeFixedOutputPath(nixStore, "x", "recursive", helloNar, references);
    }
  });
});

describe("text (Nix 2.8.0)", () => {
  const a = makeTextPath(nixStore, "a.txt", hashBytes("sha256", "hello"), []);
  const c = makeTextPath(nixStore, "c.txt", hashBytes("sha256", "hi"), []);

  test("without and with references, in any order", () => {
    assert.equal(a, "wzflyq5q9kjg4p27yck2nnispnblxsnh-a.txt");
    assert.equal(c, "ck4p44k42xzhrjyy8mj803cwwx2ybivz-c.txt");
    const xa = hashBytes("sha256", `x/nix/store/${a}`);
    assert.equal(printBareHash(xa, "base16"), "690ad972e1a044f6179c1a42dde073dd54c2bfac95cc6976591dcc4167af90be");
    assert.equal(makeTextPath(nixStore, "b.txt", xa, [a]), "01l2jla92i4xp8qc158kf7b624r2xi62-b.txt");
    const xca = hashBytes("sha256", `x/nix/store/${c}/nix/store/${a}`);
    for (const references of [
      [a, c],
      [c, a],
      [c, a, c],
    ])
      assert.equal(makeTextPath(nixStore, "b.txt", xca, references), "m58g236fvliimljzbwgpg2abxbq6jj2f-b.txt");
  });

  test("from a content address", () => {
    const text = { kind: "text", hash: hashBytes("sha256", "hello") } as const;
    assert.equal(makeContentAddressedPath(nixStore, "a.txt", text), a);
    const self = { others: [], self: "self" } as const;
    assert.throws(() => makeContentAddressedPath(nixStore, "a.txt", text, self), { code: "references-not-allowed" });
    const flat = { kind: "fixed", method: "flat", hash: hashBytes("md5", "hello") } as const;
    assert.equal(makeContentAddressedPath(nixStore, "hello.txt", flat), "kckpqk5dy7g82i6w9vjmp4n2ilz1m9sk-hello.txt");
  });

  test("another store directory gives other paths", () => {
    assert.notEqual(makeTextPath(parseStoreDir("/gnu/store"), "a.txt", hashBytes("sha256", "hello"), []), a);
  });
});

describe("outputs (Nix 2.8.0)", () => {
  const modulo = sha256("23d056c2b8595331a725c9279b692b14e14d2acdc48d29596ecf43fd3e1fc1cf");

  test("out has the derivation's name, others their own behind it", () => {
    assert.equal(makeOutputPath(nixStore, "a", "out", modulo), "xpas388y2b2bs4bsbalwn5m5c4ahz9cl-a");
    assert.equal(makeOutputPath(nixStore, "a", "dev", modulo), "k65h28grdkrgs2lllln2dr7baj63ygm5-a-dev");
    assert.equal(outputPathName("a", "out"), "a");
    assert.equal(outputPathName("a", "dev"), "a-dev");
    assert.throws(() => makeOutputPath(nixStore, "a", "d/v", modulo), { code: "bad-store-path" });
    assert.throws(() => makeOutputPath(nixStore, "a".repeat(208), "dev", modulo), { code: "bad-store-path" });
  });

  test("scratch paths", () => {
    const drv = parseStorePath("167rz1z9vdzajz38qhw633gpb9l6b4s9-rw.drv");
    const output = parseStorePath("kybs33dv95svclkl6v903aisfmg0zkwp-rw");
    assert.equal(makeScratchPath(nixStore, drv, output), "8gisjj0mm63vvgsix46r1zg6dnh3dig8-rw");
    const floating = makeFloatingScratchPath(nixStore, drv, "dev");
    assert.equal(floating.slice(32), "-rw-dev");
    assert.notEqual(floating, makeFloatingScratchPath(nixStore, drv, "out"));
  });

  test("placeholders", () => {
    assert.equal(outputPlaceholder("out"), "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9");
    assert.equal(outputPlaceholder("dev"), "/02qcpld1y6xhs5gz9bchpxaw0xdhmsp5dv88lh25r2ss44kh8dxz");
    // From the fixture deferred.drv, whose x is the output dev of floating.drv.
    const floating = parseStorePath("3w8gdhaxvkpc4958f80nda9iay51yr3l-floating.drv");
    assert.equal(downstreamPlaceholder(floating, "dev"), "/1sdpppz1kwz52bsh782625zm7m75gw0dmhm106rixj6d13nzf62x");
  });

  test("the name of a derivation", () => {
    assert.equal(derivationName(parseStorePath("167rz1z9vdzajz38qhw633gpb9l6b4s9-r.drv.drv")), "r.drv");
    for (const path of ["kybs33dv95svclkl6v903aisfmg0zkwp-rw", "kybs33dv95svclkl6v903aisfmg0zkwp-.drv"])
      assert.throws(() => derivationName(parseStorePath(path)), { code: "bad-store-path" });
  });
});

describe("hash modulo references to itself", () => {
  const self = "v5aify7vk211y4dsya00ix70rfrkdvvb";
  const dep = parseStorePath("az31knmcmkcvqp327ha4d0jxlpimbbi3-dep");

  /** The NAR of a plain file. */
  function narOfFile(contents: string): Buffer {
    const str = (text: string) => {
      const length = Buffer.alloc(8);
      length.writeUInt32LE(text.length);
      return Buffer.concat([length, Buffer.from(text, "latin1"), Buffer.alloc(-text.length & 7)]);
    };
    return Buffer.concat(["nix-archive-1", "(", "type", "regular", "contents", contents, ")"].map(str));
  }

  function moduloOf(chunks: readonly Uint8Array[], hashPart: string) {
    const hasher = createModuloHasher(hashPart);
    for (const chunk of chunks) {
      const reused = Buffer.from(chunk);
      hasher.feed(reused);
      reused.fill(0xaa); // the hasher must not keep the caller's buffer
    }
    return hasher.finish();
  }

  test("the worked example (Nix 2.8.0)", () => {
    const nar = narOfFile(`self=/nix/store/${self}-selfref dep=/nix/store/${dep}\n`);
    const { hash, offsets } = moduloOf([nar], self);
    assert.deepEqual(offsets, [112]);
    assert.equal(printBareHash(hash, "base16"), "a9c632dcb0ccb30b1e6d4c058c7963f593f77ee26bf8fde893b966599f0d8970");
    const path = makeSourcePath(nixStore, "selfref", hash, { others: [dep], self: "self" });
    assert.equal(path, "yny9684xy620zrs2n7jcsj7ph31ym8sp-selfref");
    const address = { kind: "fixed", method: "recursive", hash } as const;
    assert.equal(printContentAddress(address), "fixed:r:sha256:0w491ngmjrmrjglgvy3bw9zgg4zmcdwqq1acdlg0pcycn3f35im9");
  });

  test("without an occurrence it is the plain hash", () => {
    for (const size of [0, 1, 31, 32, 33, 200_000]) {
      const data = Buffer.alloc(size, "x");
      assert.deepEqual(moduloOf([data], self), { hash: hashBytes("sha256", data), offsets: [] });
    }
  });

  test("occurrences that overlap are found from the left, in pieces of any size", () => {
    const zeros = "0".repeat(32);
    const data = Buffer.from(`x${"0".repeat(70)}y`);
    const masked = Buffer.concat([Buffer.from("x"), Buffer.alloc(64), Buffer.from("000000y|1|33")]);
    const expected = { hash: hashBytes("sha256", masked), offsets: [1, 33] };
    for (let size = 1; size <= data.length; size++) {
      const chunks = [];
      for (let at = 0; at < data.length; at += size) chunks.push(data.subarray(at, at + size));
      assert.deepEqual(moduloOf(chunks, zeros), expected, `pieces of ${size}`);
    }
  });

  test("occurrences across the internal pieces of a large chunk", () => {
    const data = Buffer.alloc(300_000, "z");
    for (const at of [0, 65_520, 131_050, 196_608, 299_968]) data.write(self, at, "latin1");
    assert.deepEqual(moduloOf([data], self).offsets, [0, 65_520, 131_050, 196_608, 299_968]);
  });

  test("any split gives the same", () => {
    const part = fc.oneof(
      fc.constantFrom(self, self.slice(0, 31), self.slice(1), "v5aify7v", "\0"),
      fc.string({ maxLength: 5 }),
    );
    const split = fc.record({
      text: fc.array(part, { maxLength: 12 }).map((parts) => parts.join("")),
      cuts: fc.array(fc.nat(400), { maxLength: 8 }),
    });
    fc.assert(
      fc.property(split, ({ text, cuts }) => {
        const data = Buffer.from(text, "utf8");
        const chunks: Uint8Array[] = [];
        let from = 0;
        for (const cut of cuts.filter((at) => at <= data.length).sort((a, b) => a - b)) {
          chunks.push(data.subarray(from, cut));
          from = cut;
        }
        chunks.push(data.subarray(from));
        assert.deepEqual(moduloOf(chunks, self), moduloOf([data], self));
      }),
    );
  });
});
