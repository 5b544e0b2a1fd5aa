import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  BadContentAddress,
  type ContentAddress,
  contentAddressOf,
  methodOf,
  parseContentAddress,
  parseContentAddressMethod,
  parseOptionalContentAddress,
  printContentAddress,
  printContentAddressMethod,
} from "../../src/formats/content-address.ts";
import { hashBytes } from "../../src/formats/hash.ts";
import { arbitraryDamage, arbitraryHash, arbitraryHashOf } from "../support/arbitrary-store-path.ts";

const hello = hashBytes("sha256", "hello");
const base32 = "094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic";
const base16 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

const arbitraryContentAddress: fc.Arbitrary<ContentAddress> = fc.oneof(
  arbitraryHashOf("sha256").map((hash): ContentAddress => ({ kind: "text", hash })),
  fc
    .tuple(fc.constantFrom("flat" as const, "recursive" as const), arbitraryHash)
    .map(([method, hash]): ContentAddress => {
      return { kind: "fixed", method, hash };
    }),
);

test("text forms", () => {
  const forms: readonly [string, ContentAddress, string][] = [
    [`text:sha256:${base32}`, { kind: "text", hash: hello }, "text:sha256"],
    [`fixed:sha256:${base32}`, { kind: "fixed", method: "flat", hash: hello }, "fixed:sha256"],
    [`fixed:r:sha256:${base32}`, { kind: "fixed", method: "recursive", hash: hello }, "fixed:r:sha256"],
    [
      "fixed:r:sha1:9m1skbnr5i43n3yypvda5s65vhfwdx5a",
      { kind: "fixed", method: "recursive", hash: hashBytes("sha1", "hello") },
      "fixed:r:sha1",
    ],
  ];
  for (const [text, address, method] of forms) {
    assert.deepEqual(parseContentAddress(text), address);
    assert.equal(printContentAddress(address), text);
    assert.equal(printContentAddressMethod(methodOf(address)), method);
    assert.deepEqual(parseContentAddressMethod(method), methodOf(address));
    assert.deepEqual(contentAddressOf(methodOf(address), address.hash), address);
  }
});

test("the hash is read in every encoding but SRI", () => {
  for (const hash of [base16, base32, "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="])
    assert.deepEqual(parseContentAddress(`fixed:sha256:${hash}`), { kind: "fixed", method: "flat", hash: hello });
});

test("the empty string is none", () => {
  assert.equal(parseOptionalContentAddress(""), undefined);
  assert.deepEqual(parseOptionalContentAddress(`text:sha256:${base32}`), { kind: "text", hash: hello });
});

test("what is none is refused", () => {
  const bad: readonly [string, RegExp][] = [
    ["", /prefix/],
    ["fixed", /prefix/],
    ["fixed:", /unknown hash algorithm|prefix/],
    [`fixed:git:sha1:${base32}`, /prefix "fixed:git"/],
    [`fixed:r:r:sha256:${base32}`, /prefix "fixed:r:r"/],
    [`text:r:sha256:${base32}`, /prefix "text:r"/],
    [`text:md5:4jqlbi14cxf6wpcajbphm40hax`, /sha256 only/],
    [`fixed:sha3:${base32}`, /unknown hash algorithm "sha3"/],
    [`fixed:sha256:${base32}0`, /wrong length/],
    [`fixed:sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=`, /prefix/],
    [`sha256:${base32}`, /prefix ""/],
  ];
  for (const [text, message] of bad)
    assert.throws(() => parseContentAddress(text), { code: "bad-content-address", message }, text);
  for (const text of [
    "",
    "text",
    "text:sha1",
    "fixed:",
    "fixed:r",
    "fixed:r:",
    "fixed:sha256:",
    `fixed:sha256:${base32}`,
  ])
    assert.throws(() => parseContentAddressMethod(text), { code: "bad-content-address" }, text);
});

test("parse undoes print, and damage is read or refused", () => {
  fc.assert(
    fc.property(arbitraryContentAddress, (address) => {
      assert.deepEqual(parseContentAddress(printContentAddress(address)), address);
    }),
  );
  fc.assert(
    fc.property(arbitraryDamage(arbitraryContentAddress.map(printContentAddress)), (text) => {
      try {
        const address = parseContentAddress(text);
        assert.deepEqual(parseContentAddress(printContentAddress(address)), address);
      } catch (error) {
        assert.ok(error instanceof BadContentAddress, String(error));
      }
    }),
  );
});
