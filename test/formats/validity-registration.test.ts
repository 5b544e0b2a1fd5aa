import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { encodeBytes } from "../../src/formats/byte-string.ts";
import { hashBytes, printHash, printSri } from "../../src/formats/hash.ts";
import { parseStorePath } from "../../src/formats/store-path.ts";
import {
  BadRegistration,
  createRegistrationParser,
  maxRegistrationLine,
  maxRegistrationReferences,
  printRegistrations,
  type RegistrationForm,
  type ValidityRegistration,
} from "../../src/formats/validity-registration.ts";
import {
  arbitraryDamage,
  arbitraryDrvPath,
  arbitraryHashOf,
  arbitraryStorePath,
  nixStore,
} from "../support/arbitrary-store-path.ts";

const forms: readonly RegistrationForm[] = ["with-hash", "without-hash", "references-graph"];
const a = parseStorePath("wzflyq5q9kjg4p27yck2nnispnblxsnh-a.txt");
const b = parseStorePath("01l2jla92i4xp8qc158kf7b624r2xi62-b.txt");
const drv = parseStorePath("yl0ma2k3d64d51lax8jqw5d3b3x2vzpz-a.drv");
const hash = hashBytes("sha256", "nar");
const hex = Buffer.from(hash.bytes).toString("hex");

function parseAll(text: string, form: RegistrationForm, chunkSize = text.length): ValidityRegistration[] {
  const parser = createRegistrationParser(nixStore, form);
  const data = encodeBytes(text);
  const items: ValidityRegistration[] = [];
  for (let at = 0; at < data.length; at += chunkSize) {
    const chunk = Buffer.from(data.subarray(at, at + chunkSize));
    items.push(...parser.feed(chunk));
    chunk.fill(0x0a); // the parser must not keep the caller's buffer
  }
  parser.finish();
  return items;
}

function arbitraryRegistrations(form: RegistrationForm): fc.Arbitrary<ValidityRegistration[]> {
  const size = fc.oneof(fc.constant(undefined), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));
  const parts = {
    path: arbitraryStorePath,
    nar:
      form === "with-hash"
        ? fc.record({ hash: arbitraryHashOf("sha256"), size }, { noNullPrototype: true })
        : fc.constant(undefined),
    deriver: form === "references-graph" ? fc.constant(undefined) : fc.option(arbitraryDrvPath, { nil: undefined }),
    references: fc
      .uniqueArray(arbitraryStorePath, { maxLength: 3 })
      .map((paths): ReadonlySet<typeof a> => new Set(paths)),
  };
  return fc.array(fc.record(parts, { noNullPrototype: true }), { maxLength: 3 });
}

describe("the three forms", () => {
  const items: ValidityRegistration[] = [
    { path: a, nar: { hash, size: 120 }, deriver: undefined, references: new Set() },
    { path: b, nar: { hash, size: undefined }, deriver: drv, references: new Set([b, a]) },
  ];
  const texts: Readonly<Record<RegistrationForm, string>> = {
    "with-hash": `/nix/store/${a}\n${hex}\n120\n\n0\n/nix/store/${b}\n${hex}\n0\n/nix/store/${drv}\n2\n/nix/store/${b}\n/nix/store/${a}\n`,
    "without-hash": `/nix/store/${a}\n\n0\n/nix/store/${b}\n/nix/store/${drv}\n2\n/nix/store/${b}\n/nix/store/${a}\n`,
    "references-graph": `/nix/store/${a}\n\n0\n/nix/store/${b}\n\n2\n/nix/store/${b}\n/nix/store/${a}\n`,
  };
  for (const form of forms) {
    test(form, () => {
      assert.equal(printRegistrations(nixStore, form, items), texts[form]);
      const read = items.map((item) => ({
        ...item,
        nar: form === "with-hash" ? item.nar : undefined,
        deriver: form === "references-graph" ? undefined : item.deriver,
      }));
      assert.deepEqual(parseAll(texts[form], form), read);
    });
  }

  test("nothing is nothing", () => {
    for (const form of forms) assert.deepEqual(parseAll("", form), []);
  });

  test("the hash is read in every encoding, with or without algorithm", () => {
    for (const text of [
      hex,
      hex.toUpperCase(),
      `sha256:${hex}`,
      printHash(hash, "base32"),
      printHash(hash, "base32").slice(7),
      printSri(hash),
    ])
      assert.deepEqual(parseAll(`/nix/store/${a}\n${text}\n120\n\n0\n`, "with-hash"), [items[0]]);
  });

  test("repeated references are one", () => {
    const [item] = parseAll(`/nix/store/${a}\n\n2\n/nix/store/${b}\n/nix/store/${b}\n`, "without-hash");
    assert.deepEqual(item?.references, new Set([b]));
  });

  test("an item comes out as soon as its last line is there", () => {
    const parser = createRegistrationParser(nixStore, "without-hash");
    assert.deepEqual(parser.feed(encodeBytes(`/nix/store/${a}\n\n1\n/nix/store/${b}`)), []);
    assert.equal(parser.feed(encodeBytes("\n/nix")).length, 1);
    assert.equal(parser.feed(encodeBytes(`/store/${a}\n\n0\n/nix/store/${b}\n\n0\n`)).length, 2);
    parser.finish();
  });
});

describe("what is refused, with the line", () => {
  const line = `/nix/store/${a}\n`;
  const cases: readonly [name: string, text: string, form: RegistrationForm, line: number, reason: RegExp][] = [
    ["no newline at the end", `${line}\n0`, "without-hash", 3, /^missing input/],
    ["no newline after a path", line.trim(), "without-hash", 1, /^missing input/],
    ["the end within an item", `${line}\n1\n`, "without-hash", 4, /^missing input/],
    ["the end after a path", line, "with-hash", 2, /^missing input/],
    ["no path", "\n", "without-hash", 1, /is not in the Nix store/],
    ["a path elsewhere", "/etc/passwd\n", "without-hash", 1, /is not in the Nix store/],
    ["a path below a store path", `/nix/store/${a}/x\n`, "without-hash", 1, /illegal character/],
    ["no hash", `${line}\n`, "with-hash", 2, /wrong length/],
    ["another hash", `${line}md5:${"0".repeat(32)}\n`, "with-hash", 2, /should have type 'sha256'/],
    ["a negative size", `${line}${hex}\n-1\n`, "with-hash", 3, /number expected, found "-1"/],
    ["a size beyond 2^53", `${line}${hex}\n9007199254740992\n`, "with-hash", 3, /at most 9007199254740991/],
    ["a size of many digits", `${line}${hex}\n${"9".repeat(400)}\n`, "with-hash", 3, /number expected/],
    ["a deriver that is no path", `${line}x\n`, "without-hash", 2, /is not in the Nix store/],
    ["a deriver in a references graph", `${line}/nix/store/${drv}\n`, "references-graph", 2, /expected an empty line/],
    ["no count", `${line}\n\n`, "without-hash", 3, /number expected, found ""/],
    ["a count with a space", `${line}\n 1\n`, "without-hash", 3, /number expected/],
    ["a huge count", `${line}\n${maxRegistrationReferences + 1}\n`, "without-hash", 3, /at most 1000000 is allowed/],
    ["a reference that is no path", `${line}\n1\n\n`, "without-hash", 4, /is not in the Nix store/],
    ["a carriage return", `${line}\n0\r\n`, "without-hash", 3, /number expected/],
    ["an endless line", "x".repeat(maxRegistrationLine + 1), "without-hash", 1, /longer than 8192 bytes/],
    [
      "an endless line later",
      `${line}${"x".repeat(maxRegistrationLine + 1)}\n`,
      "without-hash",
      2,
      /longer than 8192 bytes/,
    ],
  ];
  for (const [name, text, form, at, reason] of cases) {
    for (const chunkSize of [text.length, 1]) {
      test(`${name}, in pieces of ${chunkSize}`, () => {
        assert.throws(
          () => parseAll(text, form, chunkSize),
          (error) => {
            assert.ok(error instanceof BadRegistration, String(error));
            assert.match(error.reason, reason);
            assert.deepEqual(
              [error.line, error.message],
              [at, `Cannot read validity registration: line ${at}: ${error.reason}`],
            );
            return true;
          },
        );
      });
    }
  }
});

describe("properties", () => {
  for (const form of forms) {
    test(`${form}: parse undoes print, in pieces of any size`, () => {
      fc.assert(
        fc.property(arbitraryRegistrations(form), fc.integer({ min: 1, max: 300 }), (items, chunkSize) => {
          const text = printRegistrations(nixStore, form, items);
          assert.deepEqual(parseAll(text, form, chunkSize), items);
        }),
      );
    });

    test(`${form}: damaged text is read or refused with a typed error`, () => {
      const texts = arbitraryRegistrations(form).map((items) => printRegistrations(nixStore, form, items));
      fc.assert(
        fc.property(arbitraryDamage(texts), (text) => {
          try {
            const items = parseAll(text, form);
            assert.deepEqual(parseAll(printRegistrations(nixStore, form, items), form), items);
          } catch (error) {
            assert.ok(error instanceof BadRegistration, String(error));
          }
        }),
      );
    });
  }
});
