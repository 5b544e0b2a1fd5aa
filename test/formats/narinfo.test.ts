import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type ByteString, decodeBytes } from "../../src/formats/byte-string.ts";
import { hashBytes, parseHash } from "../../src/formats/hash.ts";
import { BadNarinfo, type Narinfo, parseNarinfo, printNarinfo } from "../../src/formats/narinfo.ts";
import { parsePublicKey, printFingerprint, trustKeys, verifyText } from "../../src/formats/signature.ts";
import { parseStoreDir, parseStorePath } from "../../src/formats/store-path.ts";

const dir = parseStoreDir("/nix/store");
const fixture = decodeBytes(readFileSync(new URL("../fixtures/nar/tree.narinfo", import.meta.url)));
const parse = (text: string) => parseNarinfo(text as ByteString, dir, "test.narinfo");
const hash = parseHash("sha256:0xykg9rqccbdnslx0ddwgap7d0qkn3zljlxhvqiiqh93s8ml0wvw");

test("the narinfo of Nix 2.8.0", () => {
  const { narinfo, quirks } = parse(fixture);
  const expected: Narinfo = {
    path: parseStorePath("v5mqnf394rwmd3xd5dqlmri0csmqjxzy-tree"),
    url: "nar/0xykg9rqccbdnslx0ddwgap7d0qkn3zljlxhvqiiqh93s8ml0wvw.nar" as ByteString,
    compression: "none" as ByteString,
    fileHash: hash,
    fileSize: 1064,
    narHash: hash,
    narSize: 1064,
    references: [],
    deriver: undefined,
    system: undefined,
    signatures: [
      "example-1:zR9TYuX6FnuHffoW8mRYlHgaiVku3kms79sq7p9Dl/4u4zB4CPmEKXAK6UShFpwWlK+FawAFRyMT/ipCRu9rAg==" as ByteString,
    ],
    contentAddress: "fixed:r:sha256:0xykg9rqccbdnslx0ddwgap7d0qkn3zljlxhvqiiqh93s8ml0wvw" as ByteString,
    otherLines: [],
    rsaSignature: undefined,
  };
  assert.deepEqual(narinfo, expected);
  assert.deepEqual([...quirks], []);
  assert.equal(printNarinfo(narinfo, dir), fixture);
  const key = parsePublicKey("example-1:HwMRP5yb1LW7tT/efSMKz+DFTbny1dPwhP2zwkDAsZo=");
  const fingerprint = printFingerprint(dir, { ...narinfo, narSize: narinfo.narSize! });
  assert.equal(verifyText(fingerprint, narinfo.signatures, trustKeys([key])), "example-1");
});

const required = [
  "StorePath: /nix/store/v5mqnf394rwmd3xd5dqlmri0csmqjxzy-tree",
  "URL: x.nar.xz",
  "NarHash: sha256:0xykg9rqccbdnslx0ddwgap7d0qkn3zljlxhvqiiqh93s8ml0wvw",
  "NarSize: 1064",
  "References: ",
];
const lines = (...more: string[]) => [...required, ...more].map((line) => `${line}\n`).join("");
const replace = (from: string, to: string) => lines().replace(from, to);

test("a narinfo of Nix 1, signed", () => {
  const signedText = lines("Deriver: v5mqnf394rwmd3xd5dqlmri0csmqjxzy-tree.drv", "System: x86_64-linux");
  const text = `${signedText}Signature: 1;cache.example.org-1;c2lnbmF0dXJl\n`;
  const { narinfo, quirks } = parse(text);
  assert.deepEqual(narinfo.rsaSignature, { keyName: "cache.example.org-1", signature: "c2lnbmF0dXJl", signedText });
  assert.equal(narinfo.system, "x86_64-linux");
  assert.deepEqual([...quirks], []);
  assert.equal(printNarinfo(narinfo, dir), text);
});

test("lines with other keys are kept", () => {
  const text = lines("CA: fixed:git:sha1:xyz", "X-Caf\xc3\xa9: a: b", "X-Empty: ");
  const { narinfo, quirks } = parse(text);
  assert.deepEqual(narinfo.otherLines, [
    { key: "X-Caf\xc3\xa9", value: "a: b" },
    { key: "X-Empty", value: "" },
  ]);
  assert.equal(narinfo.contentAddress, "fixed:git:sha1:xyz");
  assert.deepEqual([...quirks], []);
  assert.equal(printNarinfo(narinfo, dir), text);
});

describe("quirks", () => {
  const a = "01l2jla92i4xp8qc158kf7b624r2xi62-b.txt";
  const z = "wzflyq5q9kjg4p27yck2nnispnblxsnh-a.txt";
  const hex = "7c73402bd223411c23deb05349ffb0138376ae7abc35d0a9b66d3186737ad377";
  const cases: [string, string, string[], Partial<Narinfo>][] = [
    ["order", `${required.toReversed().join("\n")}\n`, ["order"], { narSize: 1064 }],
    ["other line in front", `X: y\n${lines()}`, ["order"], { otherLines: [{ key: "X", value: "y" }] as never }],
    ["base-16", replace(/sha256:\w+/.exec(lines())![0], `sha256:${hex}`), ["hash-encoding"], { narHash: hash }],
    [
      "SRI",
      lines("Compression: xz", `FileHash: sha256-${Buffer.from(hex, "hex").toString("base64")}`),
      ["order", "hash-encoding"],
      { fileHash: hash },
    ],
    [
      "references",
      replace("References: ", `References: ${z} ${a} ${z}`),
      ["unsorted"],
      { references: [a, z] as never },
    ],
    ["signatures", lines("Sig: b:", "Sig: a:"), ["unsorted"], { signatures: ["a:", "b:"] as never }],
    ["no references", replace("References: \n", ""), ["no-references"], { references: [] }],
    ["empty compression", replace("NarHash", "Compression: \nNarHash"), ["empty-value"], { compression: undefined }],
    ["empty deriver", lines("Deriver: "), ["empty-value"], { deriver: undefined }],
    ["empty CA", lines("CA: "), ["empty-value"], { contentAddress: undefined }],
    ["unknown deriver", lines("Deriver: unknown-deriver"), ["unknown-deriver"], { deriver: undefined }],
    ["no size", replace("NarSize: 1064\n", ""), [], { narSize: undefined }],
  ];
  for (const [what, text, quirks, fields] of cases) {
    test(what, () => {
      const parsed = parse(text);
      assert.deepEqual([...parsed.quirks].sort(), quirks.sort());
      assert.deepEqual({ ...parsed.narinfo, ...fields }, parsed.narinfo);
      assert.equal(printNarinfo(parsed.narinfo, dir) === text, quirks.length === 0);
    });
  }
});

describe("what is malformed", () => {
  const cases: [string, string, number | undefined, RegExp][] = [
    ["empty", "", undefined, /^there is no StorePath$/],
    ["no URL", replace("URL: x.nar.xz\n", ""), undefined, /^there is no URL$/],
    ["no hash", replace(`${required[2]}\n`, ""), undefined, /^there is no NarHash$/],
    ["no last line feed", lines().slice(0, -1), 5, /^it does not end in a line feed$/],
    ["no colon", lines("nonsense"), 6, /^expected "<key>: <value>", found "nonsense"$/],
    ["no space", replace("NarSize: ", "NarSize:"), 4, /^expected "<key>: <value>", found "NarSize:1064"$/],
    ["no key", lines(": x"), 6, /^expected "<key>: <value>"/],
    ["empty line", lines(""), 6, /^expected "<key>: <value>", found ""$/],
    ["HTML", "<html>\n", 1, /found "<html>"/],
    ["path", replace("/nix/store/v5", "/nix/store/e5"), 1, /^StorePath: Cannot parse store path/],
    ["other store", replace("/nix/store/", "/gnu/store/"), 1, /^StorePath: .* is not in the Nix store/],
    ["empty URL", replace("x.nar.xz", ""), 2, /^URL: it is empty$/],
    ["hash", replace("sha256:0x", "sha256:0"), 3, /^NarHash: Cannot parse hash/],
    [
      "hash of another kind",
      replace(/sha256:\w+/.exec(lines())![0], "md5:5d41402abc4b2a76b9719d911017c592"),
      3,
      /^NarHash: .* should have type 'sha256'/,
    ],
    ["size", replace("1064", "0x10"), 4, /^NarSize: not a decimal number of bytes$/],
    ["negative size", replace("1064", "-1"), 4, /^NarSize: not a decimal number of bytes$/],
    ["inexact size", replace("1064", "9007199254740993"), 4, /^NarSize: not a decimal number of bytes$/],
    ["size 0", replace("1064", "0"), 4, /^NarSize: it is 0$/],
    ["reference", replace("References: ", "References: a"), 5, /^References: Cannot parse store path "a"/],
    ["second space", replace("References: ", "References:  "), 5, /^References: Cannot parse store path ""/],
    ["second References", lines("References: "), 6, /^a second References$/],
    ["second CA", lines("CA: x", "CA: x"), 7, /^a second CA$/],
    ["deriver", lines("Deriver: x"), 6, /^Deriver: Cannot parse store path "x"/],
    ["RSA signature", lines("Signature: 2;a;AAAA"), 6, /^Signature: not in the form 1;<key name>;<base64>$/],
    ["unsigned lines", lines("Signature: 1;a;AAAA", "System: x"), 7, /^a line follows the Signature/],
  ];
  for (const [what, text, line, reason] of cases) {
    test(what, () => {
      assert.throws(
        () => parse(text),
        (error) => {
          assert(error instanceof BadNarinfo, String(error));
          assert.match(error.reason, reason);
          assert.equal(error.line, line);
          assert.equal(
            error.message,
            `Cannot parse narinfo 'test.narinfo': ${line ? `line ${line}: ` : ""}${error.reason}`,
          );
          return true;
        },
      );
    });
  }
});

test("without quirks, printing undoes parsing; and nothing else fails", () => {
  const line = fc.oneof(
    fc.constantFrom(...required, ...fixture.trimEnd().split("\n")),
    fc.constantFrom(
      "Sig: b:c",
      "Sig: a:c",
      "System: x",
      "Deriver: unknown-deriver",
      "Compression: ",
      "X: y",
      "NarSize: 007",
    ),
    fc.tuple(fc.string({ maxLength: 4 }), fc.string({ maxLength: 4 })).map(([key, value]) => `${key}: ${value}`),
  );
  let parsed = 0;
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), fc.boolean(), (more, hasRequired) => {
      const text = (hasRequired ? lines(...more) : more.map((l) => `${l}\n`).join("")) as ByteString;
      try {
        const { narinfo, quirks } = parse(text);
        parsed++;
        const printed = printNarinfo(narinfo, dir);
        if (quirks.size === 0) assert.equal(printed, text);
        const again = parse(printed);
        assert.deepEqual(again.narinfo, narinfo);
        assert.deepEqual([...again.quirks], []);
      } catch (error) {
        if (!(error instanceof BadNarinfo)) throw error;
      }
    }),
    { numRuns: 1000 },
  );
  assert(parsed > 50, `only ${parsed} could be parsed`);
});

test("a hash of the signed text is what an RSA signature covers", () => {
  const { narinfo } = parse(lines("Signature: 1;a;AAAA"));
  assert.deepEqual(hashBytes("sha256", narinfo.rsaSignature!.signedText), hashBytes("sha256", lines()));
});
