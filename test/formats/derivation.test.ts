import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type ByteString, encodeBytes } from "../../src/formats/byte-string.ts";
import {
  BadDerivation,
  type Derivation,
  type DerivationOutput,
  derivationKind,
  isBuiltin,
  isFixedOutput,
  knownOutputPath,
  type OutputMethod,
} from "../../src/formats/derivation/derivation.ts";
import {
  derivationFile,
  derivationReferences,
  derivationStorePath,
} from "../../src/formats/derivation/derivation-file.ts";
import { fixedOutputPath } from "../../src/formats/derivation/fixed-output-path.ts";
import { fixedOutput, parseOutputFields, printOutputFields } from "../../src/formats/derivation/output-fields.ts";
import { parseDerivation } from "../../src/formats/derivation/parse-derivation.ts";
import { printDerivation } from "../../src/formats/derivation/print-derivation.ts";
import { hashBytes } from "../../src/formats/hash.ts";
import { parseFullStorePath, parseStoreDir, parseStorePath, printStorePath } from "../../src/formats/store-path.ts";
import { SiloError } from "../../src/error.ts";
import { arbitraryDerivation } from "../support/arbitrary-derivation.ts";
import { arbitraryDamage, nixStore } from "../support/arbitrary-store-path.ts";
import { fixtureNamed, fixtureTexts, readFixture } from "../support/derivation-fixtures.ts";

const bytes = (text: string) => text as ByteString;
const p = "/nix/store/xpas388y2b2bs4bsbalwn5m5c4ahz9cl-a";
const d = "/nix/store/0s703d0zrh81yag8hbma53zyjgshgdwv-src.txt.drv";
const minimal = `Derive([("out","${p}","","")],[("${d}",["out"])],["${p}"],"x86_64-linux","/bin/sh",["-c"],[("k","v")])`;

const path = parseStorePath("xpas388y2b2bs4bsbalwn5m5c4ahz9cl-a");
const empty: Derivation = {
  name: "a",
  outputs: new Map([["out", { kind: "input-addressed", path }]]),
  inputDrvs: new Map(),
  inputSrcs: new Set(),
  system: bytes("s"),
  builder: bytes("b"),
  args: [],
  env: new Map(),
};

describe("fixtures of Nix 2.8.0", () => {
  for (const [drvPath, text] of fixtureTexts) {
    test(drvPath, () => {
      const drv = readFixture(drvPath);
      assert.equal(printDerivation(nixStore, drv), text);
      assert.equal(derivationStorePath(nixStore, drv), drvPath);
      assert.deepEqual(parseDerivation(nixStore, encodeBytes(text), drv.name), drv);
    });
  }

  test("what is read", () => {
    const a = readFixture(fixtureNamed("a.drv"));
    assert.deepEqual(a, {
      name: "a",
      outputs: new Map([
        ["dev", { kind: "input-addressed", path: "k65h28grdkrgs2lllln2dr7baj63ygm5-a-dev" }],
        ["out", { kind: "input-addressed", path: "xpas388y2b2bs4bsbalwn5m5c4ahz9cl-a" }],
      ]),
      inputDrvs: new Map([["0s703d0zrh81yag8hbma53zyjgshgdwv-src.txt.drv", new Set(["out"])]]),
      inputSrcs: new Set(),
      system: "x86_64-linux",
      builder: "/bin/sh",
      args: ["-c", "echo $src > $out; echo dev > $dev"],
      env: new Map([
        ["builder", "/bin/sh"],
        ["dev", "/nix/store/k65h28grdkrgs2lllln2dr7baj63ygm5-a-dev"],
        ["name", "a"],
        ["out", "/nix/store/xpas388y2b2bs4bsbalwn5m5c4ahz9cl-a"],
        ["outputs", "out dev"],
        ["q", 'tab\there "quoted" back\\slash\nnl\rcr \xc3\xa9 $'],
        ["src", "/nix/store/0jrzd5f16zpwb923v5inqshydlcbc4r4-src.txt"],
        ["system", "x86_64-linux"],
      ]),
    });
    const b = derivationFile(nixStore, readFixture(fixtureNamed("b.drv")));
    assert.deepEqual(b.references, ["l6ah1wqqzy1brqig2l2swzpfb5yfzwnv-t", "yl0ma2k3d64d51lax8jqw5d3b3x2vzpz-a.drv"]);
    assert.equal(b.path, "wagq7f8jlanh7dpzgiaj3chk8i24vgs9-b.drv");
  });

  test("kinds", () => {
    const kinds = [...fixtureTexts.keys()].map((drvPath) => {
      const drv = readFixture(drvPath);
      return `${drv.name} ${derivationKind(drv)} ${isFixedOutput(drv)}`;
    });
    assert.deepEqual([...new Set(kinds)].sort(), [
      "+awk.ward=_ input-addressed false",
      "a input-addressed false",
      "b input-addressed false",
      "deferred deferred false",
      "floating floating false",
      "impure impure false",
      "src.txt fixed true",
      "structured input-addressed false",
      "tree fixed true",
      "twins input-addressed false",
      "via input-addressed false",
      "vias input-addressed false",
    ]);
    assert.equal(isBuiltin(readFixture(fixtureNamed("a.drv"))), false);
    assert.equal(isBuiltin({ ...empty, builder: bytes("builtin:fetchurl") }), true);
  });
});

describe("reading", () => {
  test("any order, repeated sources and ids, and needless escapes are read as Nix does", () => {
    const unsorted = `Derive([("out","${p}","",""),("dev","${p}-dev","","")],[("${d}",["out","dev","out"])],["${p}","${d}","${p}"],"s","\\b\\"",[],[("z","1"),("a","\\q\\\\n")])`;
    const drv = parseDerivation(nixStore, bytes(unsorted), "a");
    assert.deepEqual([...drv.inputSrcs].length, 2);
    assert.equal(drv.builder, 'b"');
    assert.equal(drv.env.get(bytes("a")), "q\\n");
    assert.equal(
      printDerivation(nixStore, drv),
      `Derive([("dev","${p}-dev","",""),("out","${p}","","")],[("${d}",["dev","out"])],["${d}","${p}"],"s","b\\"",[],[("a","q\\\\n"),("z","1")])`,
    );
    assert.deepEqual(derivationReferences(drv).length, 2);
  });

  test("the store directory is taken from the caller", () => {
    const other = parseStoreDir("/x/y");
    const text = bytes(minimal.replaceAll("/nix/store", "/x/y"));
    assert.equal(printDerivation(other, parseDerivation(other, text, "a")), text);
    assert.throws(() => parseDerivation(other, bytes(minimal), "a"), /is not in the Nix store '\/x\/y'/);
  });

  test("an escaped string is read in linear time", () => {
    const value = "\\".repeat(1_000_000);
    const drv: Derivation = { ...empty, args: [bytes(value)] };
    assert.deepEqual(parseDerivation(nixStore, printDerivation(nixStore, drv), "a").args, [value]);
    const open = bytes(`Derive([("out","${"\\a".repeat(500_000)}`);
    assert.throws(() => parseDerivation(nixStore, open, "a"), {
      code: "bad-derivation",
      reason: "the string does not end",
    });
  });
});

describe("what Nix never writes is refused, with the place", () => {
  assert.equal(printDerivation(nixStore, parseDerivation(nixStore, bytes(minimal), "a")), minimal);
  const at = (token: string) => minimal.indexOf(token);
  const cases: readonly [name: string, text: string, position: number, reason: RegExp][] = [
    ["nothing", "", 0, /^expected "Derive\(", found the end of the text$/],
    ["something else", "derive([", 0, /^expected "Derive\("/],
    ["a dynamic derivation", `DrvWithVersion("xp-dyn-drv",[`, 0, /not supported/],
    ["bytes after the end", `${minimal}\n`, minimal.length, /^expected the end of the text, found "\\n"$/],
    ["a cut", minimal.slice(0, -1), minimal.length - 1, /^expected "\)", found the end of the text$/],
    ["a string without end", minimal.slice(0, at("86_64")), at('"x86'), /^the string does not end$/],
    ["an escape at the end", `${minimal.slice(0, at("86_64"))}\\`, at('"x86'), /^the string does not end$/],
    ["a space", minimal.replace("],[", "], ["), at("],[") + 2, /^expected "\[", found " "$/],
    [
      "a missing comma",
      minimal.replace('["-c"]', '["-c""-d"]'),
      at('["-c"') + 5,
      /^expected "," or "\]", found "\\""$/,
    ],
    ["a comma at the end", minimal.replace('["-c"]', '["-c",]'), at('["-c"') + 6, /^expected a string, found "\]"$/],
    [
      "a comma at the beginning",
      minimal.replace('["-c"]', '[,"-c"]'),
      at('["-c"') + 1,
      /^expected a string, found ","$/,
    ],
    [
      "a field too few",
      minimal.replace(`"${p}","",""`, `"${p}",""`),
      at(`"${p}","",""`) + p.length + 5,
      /^expected ","/,
    ],
    [
      "a second output of the name",
      minimal.replace(")],[", `),("out","${p}","","")],[`),
      at(")],[") + 3,
      /^output "out" occurs twice$/,
    ],
    [
      "a second input of the name",
      minimal.replace('["out"])', `["out"]),("${d}",["dev"])`),
      at(`"${d}"`) + d.length + 13,
      /^input ".*" occurs twice$/,
    ],
    [
      "a second variable of the name",
      minimal.replace('("k","v")', '("k","v"),("k","w")'),
      at('("k"') + 11,
      /"k" occurs twice$/,
    ],
    ["an input without outputs", minimal.replace('["out"]', "[]"), at(`"${d}"`), /has no outputs$/],
    [
      "an id that needs escapes",
      minimal.replace('["out"]', '["o\\"t"]'),
      at('["out"]') + 1,
      /is not the name of an output$/,
    ],
    ["an empty id", minimal.replace('("out"', '(""'), at('"out"'), /^"" is not the name of an output$/],
    ["a system that needs escapes", minimal.replace("x86_64-linux", "x\\n"), at('"x86'), /^the system contains/],
    [
      "a source that is no store path",
      minimal.replace(`["${p}"]`, '["/etc"]'),
      at(`["${p}"]`) + 1,
      /not in the Nix store/,
    ],
    ["an input that is no store path", minimal.replace(d, "/nix/store/x.drv"), at(`"${d}"`), /does not begin with 32/],
    ["an output below a store path", minimal.replace(p, `${p}/bin`), at(`"${p}`), /illegal character "\/"/],
    [
      "an unknown algorithm",
      minimal.replace(`"${p}","",""`, `"${p}","sha3","00"`),
      at(`"${p}"`),
      /unknown hash algorithm$/,
    ],
    ["a hash without algorithm", minimal.replace(`"${p}","",""`, `"${p}","","00"`), at(`"${p}"`), /no hash algorithm$/],
    ["a hash of another size", minimal.replace(`"${p}","",""`, `"${p}","md5","00"`), at(`"${p}"`), /wrong length/],
    [
      "a fixed output of another path",
      minimal.replace(`"${p}","",""`, `"${p}","md5","${"0".repeat(32)}"`),
      at(`"${p}"`),
      /^derivation 'a' has incorrect output '.*-a', should be '.*-a'$/,
    ],
    [
      "a fixed output without path",
      minimal.replace(`"${p}","",""`, `"","md5","${"0".repeat(32)}"`),
      at(`"${p}"`),
      /is not in/,
    ],
    [
      "a floating output with path",
      minimal.replace(`"${p}","",""`, `"${p}","md5",""`),
      at(`"${p}"`),
      /not known beforehand$/,
    ],
    [
      "an impure output with path",
      minimal.replace(`"${p}","",""`, `"${p}","md5","impure"`),
      at(`"${p}"`),
      /not known beforehand$/,
    ],
  ];
  for (const [name, text, position, reason] of cases) {
    test(name, () => {
      assert.throws(
        () => parseDerivation(nixStore, bytes(text), "a"),
        (error) => {
          assert.ok(error instanceof BadDerivation, String(error));
          assert.match(error.reason, reason);
          assert.equal(error.position, position);
          assert.equal(error.message, `Cannot read derivation "a": at byte ${position}: ${error.reason}`);
          return true;
        },
      );
    });
  }
});

describe("the three fields of an output", () => {
  const hash = hashBytes("sha256", "hello");
  const fixed = (method: OutputMethod) => {
    const output = fixedOutput(nixStore, "a", "out", method, hash);
    return [printStorePath(nixStore, fixedOutputPath(nixStore, "a", "out", method, hash)), output] as const;
  };
  const [[flatPath, flat], [treePath, tree], [textPath, text]] = [fixed("flat"), fixed("recursive"), fixed("text")];
  const hex = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
  const table: readonly [path: string, hashAlgo: string, hash: string, output: DerivationOutput][] = [
    [p, "", "", { kind: "input-addressed", path }],
    [flatPath, "sha256", hex, flat],
    [treePath, "r:sha256", hex, tree],
    [textPath, "text:sha256", hex, text],
    ["", "r:md5", "", { kind: "floating", method: "recursive", hashAlgo: "md5" }],
    ["", "sha512", "impure", { kind: "impure", method: "flat", hashAlgo: "sha512" }],
    ["", "", "", { kind: "deferred" }],
  ];
  for (const [fullPath, hashAlgo, digest, output] of table) {
    test(`${output.kind} ${hashAlgo}`, () => {
      const fields = { path: fullPath, hashAlgo, hash: digest };
      assert.deepEqual(parseOutputFields(nixStore, "a", "out", fields), output);
      assert.deepEqual(printOutputFields(nixStore, output), fields);
      assert.equal(knownOutputPath(output), fullPath === "" ? undefined : parseFullStorePath(nixStore, fullPath));
    });
  }

  test("other encodings of the hash are read, base16 is printed", () => {
    const fields = { path: flatPath, hashAlgo: "sha256", hash: "094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic" };
    assert.equal(printOutputFields(nixStore, parseOutputFields(nixStore, "a", "out", fields)).hash, hex);
  });

  test("a fixed output of another path, and text by another algorithm, are refused", () => {
    const fields = { path: flatPath, hashAlgo: "r:sha256", hash: hex };
    assert.throws(() => parseOutputFields(nixStore, "a", "out", fields), {
      code: "incorrect-output",
      message: `derivation 'a' has incorrect output '${flatPath}', should be '${treePath}'`,
    });
    assert.throws(() => parseOutputFields(nixStore, "b", "out", { ...fields, path: treePath }), {
      code: "incorrect-output",
    });
    const md5 = { path: "", hashAlgo: "text:md5", hash: "" };
    assert.throws(() => parseOutputFields(nixStore, "a", "out", md5), { code: "bad-output-fields" });
  });
});

test("mixtures of outputs that Nix does not know are refused", () => {
  const floating = (hashAlgo: "md5" | "sha1"): DerivationOutput => ({ kind: "floating", method: "flat", hashAlgo });
  const fixed: DerivationOutput = { kind: "fixed", path, method: "flat", hash: hashBytes("md5", "") };
  const bad: readonly [Record<string, DerivationOutput>, RegExp][] = [
    [{}, /at least one output/],
    [{ out: floating("md5"), dev: { kind: "deferred" } }, /cannot be mixed/],
    [{ out: fixed, dev: fixed }, /must be the only one/],
    [{ dev: fixed }, /named "out"/],
    [{ out: floating("md5"), dev: floating("sha1") }, /same hash algorithm/],
  ];
  for (const [outputs, message] of bad)
    assert.throws(() => derivationKind({ ...empty, outputs: new Map(Object.entries(outputs)) }), {
      code: "bad-derivation",
      message,
    });
});

describe("properties", () => {
  test("parse undoes print, print undoes parse", () => {
    fc.assert(
      fc.property(arbitraryDerivation, (drv) => {
        const text = printDerivation(nixStore, drv);
        const read = parseDerivation(nixStore, text, drv.name);
        assert.deepEqual(read, drv);
        assert.equal(printDerivation(nixStore, read), text);
        assert.deepEqual(parseDerivation(nixStore, encodeBytes(text), drv.name), read);
      }),
    );
  });

  test("the order of a map does not matter", () => {
    fc.assert(
      fc.property(arbitraryDerivation, (drv) => {
        const reversed: Derivation = {
          ...drv,
          outputs: new Map([...drv.outputs].reverse()),
          inputDrvs: new Map([...drv.inputDrvs].reverse()),
          inputSrcs: new Set([...drv.inputSrcs].reverse()),
          env: new Map([...drv.env].reverse()),
        };
        assert.equal(printDerivation(nixStore, reversed), printDerivation(nixStore, drv));
      }),
    );
  });

  test("damaged text is read or refused with a typed error", () => {
    fc.assert(
      fc.property(arbitraryDamage(arbitraryDerivation.map((drv) => printDerivation(nixStore, drv))), (text) => {
        try {
          const drv = parseDerivation(nixStore, text, "x");
          const again = parseDerivation(nixStore, printDerivation(nixStore, drv), "x");
          assert.deepEqual(again, drv);
        } catch (error) {
          assert.ok(error instanceof BadDerivation && error instanceof SiloError, String(error));
          assert.ok(error.position !== undefined && error.position <= text.length);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
