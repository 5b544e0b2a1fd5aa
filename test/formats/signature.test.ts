import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseHash } from "../../src/formats/hash.ts";
import {
  BadKey,
  CannotSign,
  generateKey,
  parsePublicKey,
  parseSecretKey,
  printFingerprint,
  printKey,
  publicKeyOf,
  signText,
  trustKeys,
  verifyText,
} from "../../src/formats/signature.ts";
import { parseStoreDir, parseStorePath } from "../../src/formats/store-path.ts";

// Made with Nix 2.8.0.
const secret = "example-1:qN4fWRwOSkHGWqRHbru6SPEEASFRitIxlUY7NHyIB0QfAxE/nJvUtbu1P959IwrP4MVNufLV0/CE/bPCQMCxmg==";
const publicText = "example-1:HwMRP5yb1LW7tT/efSMKz+DFTbny1dPwhP2zwkDAsZo=";
const message =
  "1;/nix/store/v5mqnf394rwmd3xd5dqlmri0csmqjxzy-tree;sha256:0xykg9rqccbdnslx0ddwgap7d0qkn3zljlxhvqiiqh93s8ml0wvw;1064;";
const signature = "example-1:zR9TYuX6FnuHffoW8mRYlHgaiVku3kms79sq7p9Dl/4u4zB4CPmEKXAK6UShFpwWlK+FawAFRyMT/ipCRu9rAg==";

const dir = parseStoreDir("/nix/store");
const info = {
  path: parseStorePath("v5mqnf394rwmd3xd5dqlmri0csmqjxzy-tree"),
  narHash: parseHash("sha256:7c73402bd223411c23deb05349ffb0138376ae7abc35d0a9b66d3186737ad377"),
  narSize: 1064,
  references: [],
};

test("the fingerprint and signature of Nix 2.8.0", () => {
  assert.equal(printFingerprint(dir, info), message);
  const key = parseSecretKey(secret);
  assert.equal(signText(message, key), signature);
  assert.equal(printKey(key), secret);
  assert.equal(printKey(publicKeyOf(key)), publicText);
  assert.equal(printKey(parsePublicKey(`${publicText}\n`)), publicText);
  assert.equal(verifyText(message, [signature], trustKeys([parsePublicKey(publicText)])), "example-1");
});

test("references are sorted, full and separated by commas", () => {
  const a = parseStorePath("01l2jla92i4xp8qc158kf7b624r2xi62-b.txt");
  const z = parseStorePath("wzflyq5q9kjg4p27yck2nnispnblxsnh-a.txt");
  assert.equal(printFingerprint(dir, { ...info, references: [z, a, z] }), `${message}/nix/store/${a},/nix/store/${z}`);
});

test("what has no fingerprint", () => {
  assert.throws(
    () => printFingerprint(dir, { ...info, narSize: 0 }),
    new CannotSign(info.path, "the size of its NAR is not known"),
  );
  const narHash = parseHash("md5:5d41402abc4b2a76b9719d911017c592");
  assert.throws(
    () => printFingerprint(dir, { ...info, narHash }),
    new CannotSign(info.path, "the hash of its NAR is not SHA-256"),
  );
});

test("a new key signs, and its public half verifies", () => {
  const key = generateKey("cache.example.org-1");
  assert.equal(key.bytes.length, 64);
  assert.equal(printKey(parseSecretKey(printKey(key))), printKey(key));
  const trusted = trustKeys([parsePublicKey(printKey(publicKeyOf(key)))]);
  fc.assert(
    fc.property(fc.string(), (text) => {
      const made = signText(text, parseSecretKey(printKey(key)));
      assert.equal(verifyText(text, [made], trusted), "cache.example.org-1");
      assert.equal(verifyText(`${text}.`, [made], trusted), undefined);
    }),
    { numRuns: 20 },
  );
});

test("only a trusted key under its own name counts", () => {
  const key = parsePublicKey(publicText);
  const other = generateKey("example-1");
  const bytes = signature.slice("example-1:".length);
  const trusted = trustKeys([key]);
  assert.equal(verifyText(message, [`example-2:${bytes}`], trusted), undefined);
  assert.equal(verifyText(message, [signature], trustKeys([publicKeyOf(other)])), undefined);
  assert.equal(verifyText(message, [signature], trustKeys([])), undefined);
  assert.equal(verifyText(message, [], trusted), undefined);
  assert.equal(verifyText(message, ["", "junk", "example-1:", "example-1:AAAA", signature], trusted), "example-1");
  assert.equal(verifyText(message, [signature], trustKeys([key, publicKeyOf(other)])), "example-1");
});

test("a changed signature does not verify", () => {
  const trusted = trustKeys([parsePublicKey(publicText)]);
  fc.assert(
    fc.property(fc.nat(63), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bytes = Buffer.from(signature.slice("example-1:".length), "base64");
      bytes[at]! ^= change;
      assert.equal(verifyText(message, [`example-1:${bytes.toString("base64")}`], trusted), undefined);
    }),
  );
});

describe("keys that are none", () => {
  const cases: [string, () => unknown, BadKey][] = [
    ["no colon", () => parseSecretKey("example"), new BadKey("secret", "it has no colon after the name")],
    ["no name", () => parsePublicKey(":AAAA"), new BadKey("public", "its name is empty")],
    ["short", () => parsePublicKey("a:AAAA"), new BadKey("public", "3 bytes follow the name, it should be 32")],
    [
      "public for secret",
      () => parseSecretKey(publicText),
      new BadKey("secret", "32 bytes follow the name, it should be 64"),
    ],
    ["not base-64", () => parsePublicKey("a:%"), new BadKey("public", "what follows the name is not base-64")],
    [
      "halves of two keys",
      () => parseSecretKey(`${secret.slice(0, -5)}AAA==`),
      new BadKey("secret", "its two halves do not belong together"),
    ],
    [
      "name",
      () => generateKey("a b"),
      new BadKey("secret", "its name has a colon, white space or a control character"),
    ],
  ];
  for (const [what, use, error] of cases) test(what, () => assert.throws(use, error));

  test("the message never holds the key", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 9, maxLength: 60 }), (text) => {
        assert.throws(
          () => parseSecretKey(text),
          (error) => error instanceof BadKey && !error.message.includes(text),
        );
      }),
    );
  });
});
