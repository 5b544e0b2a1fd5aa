import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type ByteString, encodeBytes, fromText } from "../../src/formats/byte-string.ts";
import { BadDerivation, type Derivation } from "../../src/formats/derivation/derivation.ts";
import { derivationJsonFormats } from "../../src/formats/derivation/json-format.ts";
import {
  BadJson,
  type Json,
  type JsonStyle,
  maxDepth,
  parseJson,
  printJson,
} from "../../src/formats/derivation/json-value.ts";
import { fixedOutput } from "../../src/formats/derivation/output-fields.ts";
import { parseDerivationJson, parseDerivationsJson } from "../../src/formats/derivation/parse-derivation-json.ts";
import { printDerivationJson, printDerivationsJson } from "../../src/formats/derivation/print-derivation-json.ts";
import { hashBytes } from "../../src/formats/hash.ts";
import { parseStorePath } from "../../src/formats/store-path.ts";
import { arbitraryDerivation, arbitraryDerivationOf } from "../support/arbitrary-derivation.ts";
import { arbitraryByteString, arbitraryDamage, arbitraryUtf8, nixStore } from "../support/arbitrary-store-path.ts";
import { fixtureJson, fixtureNamed, fixtureTexts, readFixture } from "../support/derivation-fixtures.ts";

const bytes = (text: string) => text as ByteString;

/** As JSON.parse sees it. */
function plain(text: ByteString) {
  return JSON.parse(encodeBytes(text).toString("utf8"));
}

describe("the format of Nix 2.8.0", () => {
  const fixtures = new Map([...fixtureTexts.keys()].map((path) => [path, readFixture(path)]));

  test("is printed byte for byte", () => {
    assert.equal(`${printDerivationsJson(nixStore, fixtures, "nix-2.8")}\n`, fixtureJson());
  });

  test("is read", () => {
    assert.deepEqual(parseDerivationsJson(nixStore, fixtureJson()), fixtures);
    assert.deepEqual(parseDerivationsJson(nixStore, encodeBytes(fixtureJson())), fixtures);
  });

  for (const format of derivationJsonFormats) {
    test(`the fixtures survive ${format}`, () => {
      for (const layout of ["pretty", "compact"] as const)
        assert.deepEqual(
          parseDerivationsJson(nixStore, printDerivationsJson(nixStore, fixtures, format, layout)),
          fixtures,
        );
    });
  }
});

describe("how the formats differ", () => {
  const fod = readFixture(parseStorePath("0s703d0zrh81yag8hbma53zyjgshgdwv-src.txt.drv"));
  const hex = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
  const sri = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
  const path = "/nix/store/0jrzd5f16zpwb923v5inqshydlcbc4r4-src.txt";
  const fodDrv = "0s703d0zrh81yag8hbma53zyjgshgdwv-src.txt.drv";
  const b = readFixture(fixtureNamed("b.drv"));
  const json = (drv: Derivation, format: (typeof derivationJsonFormats)[number]) =>
    plain(printDerivationJson(nixStore, drv, format));

  test("fixed outputs", () => {
    const outputs = Object.fromEntries(derivationJsonFormats.map((format) => [format, json(fod, format).outputs.out]));
    assert.deepEqual(outputs, {
      "nix-2.8": { path, hashAlgo: "sha256", hash: hex },
      "nix-2.18": { path, hashAlgo: "sha256", hash: hex },
      "nix-2.23": { path, method: "flat", hashAlgo: "sha256", hash: hex },
      "nix-2.31": { path, method: "flat", hashAlgo: "sha256", hash: hex },
      "version-3": { method: "flat", hashAlgo: "sha256", hash: hex },
      "version-4": { method: "flat", hash: sri },
    });
  });

  test("other outputs", () => {
    const table: readonly [string, string, string, unknown][] = [
      ["floating.drv", "out", "nix-2.8", { hashAlgo: "r:sha256" }],
      ["floating.drv", "out", "version-4", { method: "nar", hashAlgo: "sha256" }],
      ["impure.drv", "out", "nix-2.18", { hashAlgo: "r:sha256", impure: true }],
      ["impure.drv", "out", "version-4", { method: "nar", hashAlgo: "sha256", impure: true }],
      ["deferred.drv", "dev", "nix-2.23", {}],
      ["a.drv", "dev", "nix-2.31", { path: "/nix/store/k65h28grdkrgs2lllln2dr7baj63ygm5-a-dev" }],
      ["a.drv", "dev", "version-3", { path: "k65h28grdkrgs2lllln2dr7baj63ygm5-a-dev" }],
    ];
    for (const [name, id, format, expected] of table)
      assert.deepEqual(
        json(readFixture(fixtureNamed(name)), format as "nix-2.8").outputs[id],
        expected,
        `${name} ${format}`,
      );
  });

  test("inputs", () => {
    const a = "yl0ma2k3d64d51lax8jqw5d3b3x2vzpz-a.drv";
    const t = "l6ah1wqqzy1brqig2l2swzpfb5yfzwnv-t";
    const node = { outputs: ["dev", "out"], dynamicOutputs: {} };
    const pick = (format: (typeof derivationJsonFormats)[number]) => {
      const { inputDrvs, inputSrcs, inputs } = json(b, format);
      return inputs ?? { inputDrvs, inputSrcs };
    };
    assert.deepEqual(pick("nix-2.8"), {
      inputDrvs: { [`/nix/store/${a}`]: ["dev", "out"] },
      inputSrcs: [`/nix/store/${t}`],
    });
    assert.deepEqual(pick("nix-2.18"), { inputDrvs: { [`/nix/store/${a}`]: node }, inputSrcs: [`/nix/store/${t}`] });
    assert.deepEqual(pick("version-3"), { inputDrvs: { [a]: node }, inputSrcs: [t] });
    assert.deepEqual(pick("version-4"), { drvs: { [a]: node }, srcs: [t] });
  });

  test("keys and their order", () => {
    const keysOf = (format: (typeof derivationJsonFormats)[number]) =>
      Object.keys(json(readFixture(fixtureNamed("structured.drv")), format));
    const old = ["outputs", "inputSrcs", "inputDrvs", "system", "builder", "args", "env"];
    assert.deepEqual(keysOf("nix-2.8"), old);
    assert.deepEqual(keysOf("nix-2.18"), [...old, "name"].sort());
    assert.deepEqual(keysOf("nix-2.31"), [...old, "name", "structuredAttrs"].sort());
    assert.deepEqual(keysOf("version-3"), [...old, "name", "structuredAttrs", "version"].sort());
    assert.deepEqual(keysOf("version-4"), [
      "args",
      "builder",
      "env",
      "inputs",
      "name",
      "outputs",
      "structuredAttrs",
      "system",
      "version",
    ]);
  });

  test("structured attributes keep every digit, and go back into the environment", () => {
    const drv = readFixture(fixtureNamed("structured.drv"));
    const text = printDerivationJson(nixStore, drv, "version-4", "compact");
    assert.match(text, /"structuredAttrs":\{"big":9223372036854775807,"builder":"\/bin\/sh","f":1\.5,/);
    assert.equal(plain(text).env.__json, undefined);
    assert.deepEqual(parseDerivationJson(nixStore, text), drv);
  });

  test("a map of derivations", () => {
    const one = new Map([[parseStorePath(fodDrv), fod]]);
    assert.deepEqual(Object.keys(plain(printDerivationsJson(nixStore, one, "nix-2.31"))), [`/nix/store/${fodDrv}`]);
    assert.deepEqual(Object.keys(plain(printDerivationsJson(nixStore, one, "version-3"))), [fodDrv]);
    const four = plain(printDerivationsJson(nixStore, one, "version-4"));
    assert.deepEqual(
      [Object.keys(four), four.version, Object.keys(four.derivations)],
      [["derivations", "version"], 4, [fodDrv]],
    );
  });

  test("bytes that are not UTF-8 are printed by the oldest format only", () => {
    const drv: Derivation = { ...fod, args: [bytes("\xff")] };
    assert.deepEqual(parseDerivationJson(nixStore, printDerivationJson(nixStore, drv, "nix-2.8"), "src.txt"), drv);
    for (const format of derivationJsonFormats.slice(1))
      assert.throws(() => printDerivationJson(nixStore, drv, format), {
        code: "bad-derivation",
        message: /argument 1 is not UTF-8/,
      });
  });

  test("structured attributes that are no JSON object", () => {
    for (const text of ["", "[]", "{} ,", "1"]) {
      const drv: Derivation = { ...fod, env: new Map([[bytes("__json"), bytes(text)]]) };
      assert.throws(
        () => printDerivationJson(nixStore, drv, "nix-2.31"),
        { code: "bad-derivation", message: /__json/ },
        text,
      );
      printDerivationJson(nixStore, drv, "nix-2.23");
    }
  });
});

describe("reading", () => {
  const good = {
    name: "x",
    outputs: { out: { path: "/nix/store/0jrzd5f16zpwb923v5inqshydlcbc4r4-x" } },
    inputSrcs: [],
    inputDrvs: { "/nix/store/yl0ma2k3d64d51lax8jqw5d3b3x2vzpz-a.drv": ["out"] },
    system: "s",
    builder: "b",
    args: ["a"],
    env: { k: "v" },
  };
  const read = (value: unknown, name?: string) => parseDerivationJson(nixStore, fromText(JSON.stringify(value)), name);

  test("the name may come from either side, and must agree", () => {
    assert.equal(read(good).name, "x");
    assert.equal(read({ ...good, name: undefined }, "y").name, "y");
    assert.throws(() => read(good, "y"), { code: "bad-derivation", message: /has the name "x", expected "y"/ });
    assert.throws(() => read({ ...good, name: undefined }), { code: "bad-derivation", message: /"name" is missing/ });
    assert.throws(() => read({ ...good, name: "a/b" }), { code: "bad-derivation", message: /illegal character/ });
  });

  test("a fixed output without path gets the one that follows from the hash", () => {
    const outputs = { out: { method: "nar", hash: "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=" } };
    const hash = hashBytes("sha256", "hello");
    const expected = fixedOutput(nixStore, "x", "out", "recursive", hash);
    assert.deepEqual(read({ ...good, outputs }).outputs, new Map([["out", expected]]));
  });

  const bad: readonly [name: string, value: unknown, message: RegExp][] = [
    ["no object", [], /a derivation: expected an object/],
    ["a missing key", { ...good, builder: undefined }, /the key "builder" is missing/],
    ["an unknown key", { ...good, options: {} }, /a derivation: unknown key "options"/],
    ["another version", { ...good, version: 5 }, /unsupported version/],
    ["a version that is no number", { ...good, version: "4" }, /unsupported version/],
    ["a number for a string", { ...good, env: { k: 1 } }, /env "k": expected a string/],
    ["an object for a list", { ...good, args: {} }, /args: expected a list/],
    ["a bad output name", { ...good, outputs: { "a b": {} } }, /"a b" is not the name of an output/],
    ["a bad system", { ...good, system: "a\nb" }, /the system contains/],
    ["a bad path", { ...good, inputSrcs: ["/etc/passwd"] }, /is not in the Nix store/],
    [
      "an input without outputs",
      { ...good, inputDrvs: { "yl0ma2k3d64d51lax8jqw5d3b3x2vzpz-a.drv": [] } },
      /has no outputs/,
    ],
    [
      "outputs of outputs",
      {
        ...good,
        inputDrvs: { "yl0ma2k3d64d51lax8jqw5d3b3x2vzpz-a.drv": { outputs: ["out"], dynamicOutputs: { out: {} } } },
      },
      /dynamic outputs, which are not supported/,
    ],
    ["both ways to say inputs", { ...good, inputs: { srcs: [], drvs: {} } }, /both inputs and inputSrcs/],
    [
      "both ways to say attributes",
      { ...good, env: { __json: "{}" }, structuredAttrs: {} },
      /both structuredAttrs and __json/,
    ],
    ["an unknown method", { ...good, outputs: { out: { method: "git", hashAlgo: "sha1" } } }, /unknown method "git"/],
    [
      "an unknown algorithm",
      { ...good, outputs: { out: { hashAlgo: "r:r:sha1" } } },
      /unknown hash algorithm "r:r:sha1"/,
    ],
    [
      "a prefix beside a method",
      { ...good, outputs: { out: { method: "nar", hashAlgo: "r:sha1" } } },
      /unknown hash algorithm/,
    ],
    [
      "a fixed output of another path",
      { ...good, outputs: { out: { ...good.outputs.out, hashAlgo: "md5", hash: "0".repeat(32) } } },
      /has incorrect output '\/nix\/store\/0jrzd5f16zpwb923v5inqshydlcbc4r4-x', should be/,
    ],
    ["text by another algorithm", { ...good, outputs: { out: { method: "text", hashAlgo: "md5" } } }, /sha256 only/],
    ["a hash alone", { ...good, outputs: { out: { hash: "00" } } }, /keys fit no kind/],
    ["a method alone", { ...good, outputs: { out: { method: "nar" } } }, /keys fit no kind/],
    [
      "a floating output with path",
      { ...good, outputs: { out: { hashAlgo: "md5", path: good.outputs.out.path } } },
      /keys fit no kind/,
    ],
    [
      "an impure output that is not",
      { ...good, outputs: { out: { hashAlgo: "md5", impure: false } } },
      /keys fit no kind/,
    ],
    [
      "an unknown key of an output",
      { ...good, outputs: { out: { checks: {} } } },
      /output "out": unknown key "checks"/,
    ],
    ["a bad hash", { ...good, outputs: { out: { ...good.outputs.out, hashAlgo: "md5", hash: "zz" } } }, /wrong length/],
  ];
  for (const [name, value, message] of bad) {
    test(`refuses ${name}`, () => assert.throws(() => read(value), { code: "bad-derivation", message }));
  }

  test("refuses a name that is not its path's", () => {
    const text = fromText(JSON.stringify({ "yl0ma2k3d64d51lax8jqw5d3b3x2vzpz-a.drv": good }));
    assert.throws(() => parseDerivationsJson(nixStore, text), {
      code: "bad-derivation",
      message: /has the name "x", expected "a"/,
    });
  });

  test("refuses other keys and versions around a map", () => {
    for (const root of [{ derivations: {}, version: 5 }, { derivations: {}, more: 1 }, []])
      assert.throws(() => parseDerivationsJson(nixStore, fromText(JSON.stringify(root))), { code: "bad-derivation" });
  });
});

describe("JSON texts", () => {
  const styles: readonly JsonStyle[] = [
    { layout: "compact", escapes: "nlohmann" },
    { layout: "pretty", escapes: "nix-2.8" },
  ];
  const { json: arbitraryJson } = fc.letrec<{ json: Json; leaf: Json }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 4 },
      tie("leaf"),
      fc.array(tie("json"), { maxLength: 3 }),
      fc
        .uniqueArray(fc.tuple(fc.oneof(arbitraryByteString, fc.constant(bytes("__proto__"))), tie("json")), {
          maxLength: 3,
          selector: ([key]) => key,
        })
        .map((members) => new Map(members)),
    ),
    leaf: fc.oneof(
      fc.constantFrom(null, true, false),
      arbitraryByteString,
      fc.constantFrom("0", "-0", "9223372036854775807", "1.50", "1e400", "-1E-7").map((digits) => ({ digits })),
    ),
  }));

  test("parse undoes print", () => {
    fc.assert(
      fc.property(arbitraryJson, fc.constantFrom(...styles), (value, style) => {
        assert.deepEqual(parseJson(printJson(value, style)), value);
      }),
    );
  });

  test("agrees with JSON.parse and JSON.stringify", () => {
    const style = styles[0]!;
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        const text = fromText(JSON.stringify(value));
        assert.equal(printJson(parseJson(text), style), text);
        assert.deepEqual(
          plain(printJson(parseJson(fromText(JSON.stringify(value, undefined, 2))), style)),
          plain(text),
        );
      }),
    );
  });

  test("escapes", () => {
    assert.equal(parseJson(bytes('"\\u00e9\\ud83d\\ude00\\/\\b\\f\\u0000"')), "\xc3\xa9\xf0\x9f\x98\x80/\b\f\0");
    assert.equal(printJson(bytes('\b\f\n\x1f\x7f\xff"\\'), styles[0]!), '"\\b\\f\\n\\u001f\x7f\xff\\"\\\\"');
    assert.equal(printJson(bytes('\b\f\n\x1f\x7f\xff"\\'), styles[1]!), '"\\u0008\\u000c\\n\\u001f\x7f\xff\\"\\\\"');
  });

  const bad: readonly [string, number, RegExp][] = [
    ["", 0, /expected a value/],
    ["nul", 0, /expected a value/],
    ["1 2", 2, /expected the end/],
    ["01", 1, /expected the end/],
    ["1.", 1, /expected the end/],
    ["+1", 0, /expected a value/],
    ["[1,]", 3, /expected a value/],
    ["[1 2]", 3, /expected "," or "\]"/],
    ['{"a":1,"a":2}', 7, /the key "a" occurs twice/],
    ['{"a" 1}', 5, /expected ":"/],
    ["{a:1}", 1, /expected a key/],
    ['"\n"', 1, /control character/],
    ['"a', 2, /does not end/],
    ['"\\x"', 1, /unknown escape/],
    ['"\\u12"', 1, /four hexadecimal/],
    ['"\\ud800x"', 1, /surrogate/],
    ['"\\udc00\\ud800"', 1, /surrogate/],
    ["[".repeat(maxDepth + 2), maxDepth + 1, /nested more than/],
  ];
  for (const [text, position, reason] of bad) {
    test(`refuses ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.throws(() => parseJson(bytes(text)), { code: "bad-json", position, reason });
    });
  }
});

describe("properties", () => {
  test("every format reads back", () => {
    fc.assert(
      fc.property(arbitraryDerivationOf(arbitraryUtf8), fc.constantFrom(...derivationJsonFormats), (drv, format) => {
        assert.deepEqual(parseDerivationJson(nixStore, printDerivationJson(nixStore, drv, format), drv.name), drv);
      }),
    );
  });

  test("that of Nix 2.8 carries any bytes", () => {
    fc.assert(
      fc.property(arbitraryDerivation, (drv) => {
        assert.deepEqual(parseDerivationJson(nixStore, printDerivationJson(nixStore, drv, "nix-2.8"), drv.name), drv);
      }),
    );
  });

  test("damaged text is read or refused with a typed error", () => {
    const texts = fc
      .tuple(arbitraryDerivationOf(arbitraryUtf8), fc.constantFrom(...derivationJsonFormats))
      .map(([drv, format]) => printDerivationJson(nixStore, drv, format, "compact"));
    fc.assert(
      fc.property(arbitraryDamage(texts), (text) => {
        try {
          const drv = parseDerivationJson(nixStore, text, "x");
          assert.deepEqual(parseDerivationJson(nixStore, printDerivationJson(nixStore, drv, "nix-2.8"), drv.name), drv);
        } catch (error) {
          assert.ok(error instanceof BadDerivation && !(error.cause instanceof TypeError), String(error));
        }
        try {
          parseJson(text);
        } catch (error) {
          assert.ok(error instanceof BadJson, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});
