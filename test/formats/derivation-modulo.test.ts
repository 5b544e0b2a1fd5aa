import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ByteString } from "../../src/formats/byte-string.ts";
import type { Derivation, DerivationOutput } from "../../src/formats/derivation/derivation.ts";
import { derivationStorePath } from "../../src/formats/derivation/derivation-file.ts";
import {
  createModuloContext,
  hashInput,
  hashMasked,
  type ModuloContext,
} from "../../src/formats/derivation/hash-modulo.ts";
import { checkDerivationOutputs, computeOutputPaths, fillOutputs } from "../../src/formats/derivation/output-paths.ts";
import { fixedOutputPath } from "../../src/formats/derivation/fixed-output-path.ts";
import { hashBytes, printBareHash } from "../../src/formats/hash.ts";
import { outputPlaceholder } from "../../src/formats/make-store-path.ts";
import { parseStorePath, printStorePath, type StorePath } from "../../src/formats/store-path.ts";
import { nixStore } from "../support/arbitrary-store-path.ts";
import { fixtureNamed, fixtureTexts, readFixture } from "../support/derivation-fixtures.ts";

const bytes = (text: string) => text as ByteString;
const hex = (hashed: { hash: Parameters<typeof printBareHash>[0] }) => printBareHash(hashed.hash, "base16");

/** Knows the derivations that are added to it, by the path they get. */
function graph(): ModuloContext & { add(drv: Derivation): StorePath; reads: StorePath[] } {
  const drvs = new Map<StorePath, Derivation>();
  const reads: StorePath[] = [];
  const context = createModuloContext(nixStore, (path) => {
    reads.push(path);
    const drv = drvs.get(path);
    if (drv === undefined) throw new Error(`no derivation ${path}`);
    return drv;
  });
  const add = (drv: Derivation) => {
    const path = derivationStorePath(nixStore, drv);
    drvs.set(path, drv);
    return path;
  };
  return { ...context, add, reads };
}

function draft(name: string, parts: Partial<Derivation> = {}): Derivation {
  return {
    name,
    outputs: new Map<string, DerivationOutput>([["out", { kind: "deferred" }]]),
    inputDrvs: new Map(),
    inputSrcs: new Set(),
    system: bytes("x86_64-linux"),
    builder: bytes("/bin/sh"),
    args: [],
    env: new Map(),
    ...parts,
  };
}

describe("the worked example (Nix 2.8.0)", () => {
  const context = createModuloContext(nixStore, readFixture);

  test("hashes as inputs", () => {
    const fod = hashInput(context, parseStorePath("0s703d0zrh81yag8hbma53zyjgshgdwv-src.txt.drv"));
    assert.equal(fod.kind, "regular");
    assert.equal(hex(fod), "dbab4fe3fd9b99cc21372d02519ad92d54ddb91eca81b134ad77dbfe6b1c508f");
    const a = hashInput(context, fixtureNamed("a.drv"));
    assert.equal(hex(a), "7428891df736c91412c17ec35c6095bb64a446c476ff8a0c02e8c90cbcc165de");
    assert.equal(a.base16, hex(a));
  });

  test("masked hashes", () => {
    const a = hashMasked(context, readFixture(fixtureNamed("a.drv")));
    assert.equal(hex(a), "23d056c2b8595331a725c9279b692b14e14d2acdc48d29596ecf43fd3e1fc1cf");
    const b = hashMasked(context, readFixture(fixtureNamed("b.drv")));
    assert.equal(hex(b), "4f418a2a0d717dda7c9b3608a4fa5e14e0ed7b417b3f8fc36192e4af734b98d8");
    // What Nix 2.8 calls the realisation of a fixed output by.
    const fod = hashMasked(context, readFixture(parseStorePath("0s703d0zrh81yag8hbma53zyjgshgdwv-src.txt.drv")));
    assert.equal(hex(fod), "dbab4fe3fd9b99cc21372d02519ad92d54ddb91eca81b134ad77dbfe6b1c508f");
  });

  test("output paths", () => {
    const paths = computeOutputPaths(context, readFixture(fixtureNamed("a.drv")));
    assert.deepEqual(
      paths,
      new Map([
        ["dev", "k65h28grdkrgs2lllln2dr7baj63ygm5-a-dev"],
        ["out", "xpas388y2b2bs4bsbalwn5m5c4ahz9cl-a"],
      ]),
    );
  });
});

describe("fixtures of Nix 2.8.0", () => {
  const context = createModuloContext(nixStore, readFixture);
  for (const path of fixtureTexts.keys()) {
    test(`${path} passes the check`, () => checkDerivationOutputs(context, path, readFixture(path)));
    test(`${path} is what filling in makes of a draft`, () => {
      const drv = readFixture(path);
      const env = new Map([...drv.env].filter(([key]) => !drv.outputs.has(key)));
      const outputs = new Map(
        Array.from(drv.outputs, ([id, output]): [string, DerivationOutput] => {
          return [id, output.kind === "input-addressed" ? { kind: "deferred" } : output];
        }),
      );
      const filled = fillOutputs(context, { ...drv, env, outputs });
      assert.deepEqual(filled, drv);
      assert.deepEqual(fillOutputs(context, filled), drv);
      assert.equal(derivationStorePath(nixStore, filled), path);
    });
  }

  test("what needs an output that only a build can know is deferred", () => {
    const kinds = Object.fromEntries(
      ["a.drv", "floating.drv", "deferred.drv", "impure.drv", "twins.drv"].map((name) => {
        const path = fixtureNamed(name);
        return [name, [hashInput(context, path).kind, hashMasked(context, readFixture(path)).kind]];
      }),
    );
    assert.deepEqual(kinds, {
      "a.drv": ["regular", "regular"],
      "floating.drv": ["deferred", "deferred"],
      "deferred.drv": ["deferred", "deferred"],
      "impure.drv": ["deferred", "deferred"],
      "twins.drv": ["regular", "regular"],
    });
    assert.equal(computeOutputPaths(context, readFixture(fixtureNamed("deferred.drv"))).size, 0);
    assert.deepEqual(hashInput(context, fixtureNamed("impure.drv")).hash, hashBytes("sha256", "impure"));
  });

  test("ways to fetch the same are one input, with the outputs wanted of either", () => {
    const drv = readFixture(fixtureNamed("vias.drv"));
    const [one, other] = [...drv.inputDrvs.keys()];
    assert.notEqual(one, other);
    assert.equal(hashInput(context, one!).base16, hashInput(context, other!).base16);
    assert.deepEqual([...drv.inputDrvs.values()], [new Set(["dev"]), new Set(["out"])]);
  });
});

describe("the check", () => {
  const context = createModuloContext(nixStore, readFixture);
  const a = readFixture(fixtureNamed("a.drv"));
  const wrong = parseStorePath("00000000000000000000000000000000-a");
  const withOutput = (id: string, output: DerivationOutput): Derivation => ({
    ...a,
    outputs: new Map(a.outputs).set(id, output),
  });
  const aPath = "/nix/store/yl0ma2k3d64d51lax8jqw5d3b3x2vzpz-a.drv";

  test("another output path", () => {
    assert.throws(
      () =>
        checkDerivationOutputs(
          context,
          fixtureNamed("a.drv"),
          withOutput("out", { kind: "input-addressed", path: wrong }),
        ),
      {
        code: "incorrect-output",
        output: "out",
        message: `derivation '${aPath}' has incorrect output '/nix/store/${wrong}', should be '/nix/store/xpas388y2b2bs4bsbalwn5m5c4ahz9cl-a'`,
      },
    );
  });

  test("another path of a fixed output, though its variable agrees", () => {
    const path = parseStorePath("0s703d0zrh81yag8hbma53zyjgshgdwv-src.txt.drv");
    const drv = readFixture(path);
    const output = drv.outputs.get("out");
    assert.ok(output?.kind === "fixed");
    const forged = parseStorePath("00000000000000000000000000000000-src.txt");
    const env = new Map(drv.env).set(bytes("out"), bytes(printStorePath(nixStore, forged)));
    const outputs = new Map([["out", { ...output, path: forged }]]);
    assert.throws(() => checkDerivationOutputs(context, path, { ...drv, outputs, env }), {
      code: "incorrect-output",
      message: /should be '\/nix\/store\/0jrzd5f16zpwb923v5inqshydlcbc4r4-src\.txt'$/,
    });
  });

  test("a variable that is another path", () => {
    for (const value of ["", "/nix/store/k65h28grdkrgs2lllln2dr7baj63ygm5-a-dev/"]) {
      const env = new Map(a.env).set(bytes("dev"), bytes(value));
      assert.throws(() => checkDerivationOutputs(context, fixtureNamed("a.drv"), { ...a, env }), {
        code: "incorrect-output",
        where: "environment variable",
        stated: value,
        message: `derivation '${aPath}' has incorrect environment variable 'dev', should be '/nix/store/k65h28grdkrgs2lllln2dr7baj63ygm5-a-dev'`,
      });
    }
  });

  test("a variable that is missing", () => {
    const without = (drv: Derivation): Derivation => ({
      ...drv,
      env: new Map([...drv.env].filter(([key]) => key !== "out")),
    });
    const code = "incorrect-output";
    assert.throws(() => checkDerivationOutputs(context, fixtureNamed("a.drv"), without(a)), { code, where: "output" });
    const tree = fixtureNamed("tree.drv");
    const where = "environment variable";
    assert.throws(() => checkDerivationOutputs(context, tree, without(readFixture(tree))), {
      code,
      where,
      stated: undefined,
    });
  });

  test("an input-addressed output where only the build can know", () => {
    const path = fixtureNamed("deferred.drv");
    const outputs = new Map<string, DerivationOutput>([["out", { kind: "input-addressed", path: wrong }]]);
    const message = /should be 'deferred'$/;
    assert.throws(() => checkDerivationOutputs(context, path, { ...readFixture(path), outputs }), {
      code: "incorrect-output",
      message,
    });
  });

  test("the file of another derivation", () => {
    assert.throws(() => checkDerivationOutputs(context, fixtureNamed("b.drv"), a), {
      code: "bad-derivation",
      message: /another name/,
    });
  });

  test("any change of the derivation changes its paths", () => {
    const changes: Derivation[] = [
      { ...a, args: [...a.args, bytes("")] },
      { ...a, builder: bytes("/bin/bash") },
      { ...a, system: bytes("i686-linux") },
      { ...a, env: new Map(a.env).set(bytes("q"), bytes("")) },
      { ...a, inputSrcs: new Set([wrong]) },
      { ...a, inputDrvs: new Map() },
      withOutput("doc", { kind: "input-addressed", path: wrong }),
    ];
    for (const drv of changes)
      assert.throws(() => checkDerivationOutputs(context, fixtureNamed("a.drv"), drv), { code: "incorrect-output" });
  });

  test("filling in keeps what is stated and refuses what is wrong", () => {
    assert.throws(() => fillOutputs(context, withOutput("dev", { kind: "input-addressed", path: wrong })), {
      code: "incorrect-output",
    });
    const env = new Map([[bytes("out"), bytes("/elsewhere")]]);
    assert.throws(() => fillOutputs(context, draft("x", { env })), {
      code: "incorrect-output",
      where: "environment variable",
    });
  });

  test("placeholders stand for what only the build can know", () => {
    const outputs = new Map<string, DerivationOutput>([
      ["lib", { kind: "floating", method: "recursive", hashAlgo: "sha256" }],
    ]);
    const filled = fillOutputs(context, draft("x", { outputs }));
    assert.deepEqual(filled.env, new Map([["lib", outputPlaceholder("lib")]]));
    assert.deepEqual(filled.outputs, outputs);
  });
});

describe("inputs", () => {
  test("an output that the input does not have", () => {
    const context = graph();
    const input = context.add(fillOutputs(context, draft("input")));
    const drv = draft("x", { inputDrvs: new Map([[input, new Set(["dev"])]]) });
    assert.throws(() => hashMasked(context, drv), {
      code: "bad-derivation",
      message: /needs output "dev" of ".*-input\.drv"/,
    });
  });

  test("those of fixed-output derivations are not read", () => {
    const context = graph();
    const hash = hashBytes("sha256", "hello");
    const path = fixedOutputPath(nixStore, "f", "out", "flat", hash);
    const absent = parseStorePath("00000000000000000000000000000000-absent.drv");
    const fod = fillOutputs(
      context,
      draft("f", {
        outputs: new Map([["out", { kind: "fixed", path, method: "flat", hash }]]),
        inputDrvs: new Map([[absent, new Set(["out"])]]),
      }),
    );
    const fodPath = context.add(fod);
    assert.equal(hashInput(context, fodPath).kind, "regular");
    checkDerivationOutputs(context, fodPath, fod);
    assert.deepEqual(context.reads, [fodPath]);
  });

  test("each is read once, and again after its entry is deleted", () => {
    const context = graph();
    const a = context.add(fillOutputs(context, draft("a")));
    const wantA = new Map([[a, new Set(["out"])]]);
    const b = context.add(fillOutputs(context, draft("b", { inputDrvs: wantA })));
    const c = context.add(fillOutputs(context, draft("c", { inputDrvs: wantA })));
    const both = new Map([b, c].map((path) => [path, new Set(["out"])]));
    context.memo.clear();
    context.reads.length = 0;
    const first = hashMasked(context, draft("d", { inputDrvs: both }));
    assert.deepEqual(hashMasked(context, draft("d", { inputDrvs: both })), first);
    assert.deepEqual([...context.reads].sort(), [a, b, c].sort());
    context.memo.delete(b);
    hashMasked(context, draft("d", { inputDrvs: both }));
    assert.deepEqual(context.reads.slice(3), [b]);
  });

  test("a cycle, which only a damaged store can hold, is refused", () => {
    const paths = ["a", "b", "c"].map((name) => parseStorePath(`${"0".repeat(32)}-${name}.drv`));
    const next = (path: StorePath) => paths[(paths.indexOf(path) + 1) % paths.length]!;
    const context = createModuloContext(nixStore, (path) =>
      draft("x", { inputDrvs: new Map([[next(path), new Set(["out"])]]) }),
    );
    assert.throws(() => hashInput(context, paths[0]!), { code: "bad-derivation", message: /depends on itself/ });
  });

  test("an error while reading leaves the memo usable", () => {
    const context = graph();
    const a = context.add(fillOutputs(context, draft("a")));
    const absent = parseStorePath(`${"0".repeat(32)}-absent.drv`);
    const inputDrvs = new Map([a, absent].map((path) => [path, new Set(["out"])]));
    assert.throws(() => hashMasked(context, draft("x", { inputDrvs })), /no derivation/);
    assert.equal(hashInput(context, a).kind, "regular");
  });

  test("a chain of 20,000 derivations", () => {
    const context = graph();
    let inputDrvs: Derivation["inputDrvs"] = new Map();
    let last: StorePath | undefined;
    for (let i = 0; i < 20_000; i++) {
      last = context.add(fillOutputs(context, draft(`n${i}`, { inputDrvs })));
      inputDrvs = new Map([[last, new Set(["out"])]]);
    }
    const known = context.memo.get(last!) ?? hashInput(context, last!);
    context.memo.clear();
    assert.deepEqual(hashInput(context, last!), known);
    assert.equal(context.memo.size, 20_000);
  });
});
