import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  BadHash,
  compressHash,
  equalHashes,
  type HashAlgo,
  hashBytes,
  parseBareHash,
  parseHash,
  parseHashAlgo,
  printBareHash,
  printHash,
  printSri,
} from "../../src/formats/hash.ts";
import { arbitraryDamage, arbitraryHash } from "../support/arbitrary-store-path.ts";

const helloSha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

describe("known hashes (Nix 2.8.0)", () => {
  const base32: readonly [HashAlgo, string, string][] = [
    ["md5", "hello", "4jqlbi14cxf6wpcajbphm40hax"],
    ["sha1", "hello", "9m1skbnr5i43n3yypvda5s65vhfwdx5a"],
    ["sha256", "hello", "094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic"],
    ["sha256", "", "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"],
  ];
  for (const [algo, text, expected] of base32) {
    test(`${algo} of ${JSON.stringify(text)}`, () => {
      assert.equal(printBareHash(hashBytes(algo, text), "base32"), expected);
      assert.ok(equalHashes(parseBareHash(expected, algo), hashBytes(algo, text)));
    });
  }

  test("all text forms of one hash", () => {
    const hash = hashBytes("sha256", "hello");
    const sri = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
    assert.equal(printHash(hash, "base16"), `sha256:${helloSha256}`);
    assert.equal(printSri(hash), sri);
    const forms = [
      `sha256:${helloSha256}`,
      `sha256:${helloSha256.toUpperCase()}`,
      "sha256:094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic",
      "sha256:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
      "sha256:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ",
      sri,
      sri.slice(0, -1),
    ];
    for (const form of forms) assert.deepEqual(parseHash(form), hash, form);
    assert.deepEqual(parseHash(helloSha256, "sha256"), hash);
  });

  test("strings are hashed as bytes", () => {
    assert.deepEqual(hashBytes("sha256", "\xff\x80"), hashBytes("sha256", new Uint8Array([0xff, 0x80])));
  });

  test("folding", () => {
    const digest = Buffer.from("1811ca22739896e069fd6f0299519a1b5e28aeeb9ac80db8bf9f039b581851cf", "hex");
    assert.equal(Buffer.from(compressHash(digest, 20)).toString("hex"), "82d9c79acc07957b31e53ecd99519a1b5e28aeeb");
  });
});

test("every encoding reads back", () => {
  fc.assert(
    fc.property(arbitraryHash, fc.constantFrom("base16", "base32", "base64"), (hash, encoding) => {
      assert.deepEqual(parseHash(printHash(hash, encoding as "base16")), hash);
      assert.deepEqual(parseHash(printSri(hash), hash.algo), hash);
    }),
  );
});

test("what is no hash is refused", () => {
  const bad: readonly [string, HashAlgo | undefined, RegExp][] = [
    ["", "sha256", /wrong length/],
    [helloSha256, undefined, /does not include a type/],
    [`md5:${helloSha256}`, undefined, /wrong length/],
    [`sha1:${"0".repeat(32)}`, "md5", /should have type 'md5'/],
    [`sha3:${helloSha256}`, undefined, /unknown hash algorithm/],
    [`sha256-${helloSha256}`, undefined, /SRI/],
    [helloSha256.replace("2", "g"), "sha256", /base-16/],
    [`${helloSha256} `, "sha256", /wrong length/],
    ["2".padEnd(52, "0"), "sha256", /base-32/],
    ["E".padEnd(52, "0"), "sha256", /base-32/],
    ["sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ==", undefined, /SRI/],
    ["__proto__:00", undefined, /unknown hash algorithm/],
  ];
  for (const [text, algo, message] of bad)
    assert.throws(() => parseHash(text, algo), { code: "bad-hash", message }, text);
  assert.throws(() => parseHashAlgo("toString"), BadHash);
});

test("damaged text is read or refused", () => {
  const texts = arbitraryHash.map((hash) => printHash(hash, "base32"));
  fc.assert(
    fc.property(arbitraryDamage(texts), (text) => {
      try {
        assert.equal(printHash(parseHash(text), "base32").length > 0, true);
      } catch (error) {
        assert.ok(error instanceof BadHash, String(error));
      }
    }),
  );
});
