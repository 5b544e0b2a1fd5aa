import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SiloError } from "../../src/error.ts";
import {
  allOutputs,
  type DerivedPath,
  isOutputName,
  parseDerivedPath,
  parseWantedOutputs,
  printDerivedPath,
  printWantedOutputs,
  splitOutputsSpecifier,
  unionOutputs,
  type WantedOutputs,
  wantOutput,
} from "../../src/formats/derivation-outputs.ts";
import { parseStorePath } from "../../src/formats/store-path.ts";
import { arbitraryWantedOutputs } from "../support/arbitrary-derivation.ts";
import { arbitraryDamage, arbitraryDrvPath, arbitraryStorePath, nixStore } from "../support/arbitrary-store-path.ts";

const drvPath = parseStorePath("yl0ma2k3d64d51lax8jqw5d3b3x2vzpz-a.drv");
const full = `/nix/store/${drvPath}`;
const names = (...list: string[]): WantedOutputs => ({ kind: "names", names: new Set(list) });

const arbitraryDerivedPath: fc.Arbitrary<DerivedPath> = fc.oneof(
  arbitraryStorePath.map((path): DerivedPath => ({ kind: "opaque", path })),
  fc.tuple(arbitraryDrvPath, arbitraryWantedOutputs).map(([path, outputs]): DerivedPath => {
    return { kind: "built", drvPath: path, outputs };
  }),
);

test("with both separators", () => {
  const forms: readonly [string, DerivedPath][] = [
    [full, { kind: "opaque", path: drvPath }],
    [`${full}!out`, { kind: "built", drvPath, outputs: names("out") }],
    [`${full}!dev,out`, { kind: "built", drvPath, outputs: names("dev", "out") }],
    [`${full}!*`, { kind: "built", drvPath, outputs: allOutputs }],
  ];
  for (const [text, derived] of forms) {
    assert.deepEqual(parseDerivedPath(nixStore, text), derived);
    assert.deepEqual(parseDerivedPath(nixStore, text.replace("!", "^")), derived);
    assert.equal(printDerivedPath(nixStore, derived, "!"), text);
    assert.equal(printDerivedPath(nixStore, derived, "^"), text.replace("!", "^"));
  }
  assert.equal(printWantedOutputs(parseWantedOutputs("out,dev,out")), "dev,out");
});

test("the path before the specifier need not be in the store", () => {
  assert.deepEqual(splitOutputsSpecifier("./result.drv^out"), { path: "./result.drv", outputs: names("out") });
  assert.deepEqual(splitOutputsSpecifier("/a^b/c!d/result"), { path: "/a^b/c!d/result", outputs: undefined });
  assert.deepEqual(splitOutputsSpecifier("/a!b/x^*"), { path: "/a!b/x", outputs: allOutputs });
});

test("what is no specifier is refused", () => {
  for (const text of ["!", "!,", "!out,", "!out dev", "!**", "!*,out", '!"', "!out\n"])
    assert.throws(() => parseDerivedPath(nixStore, full + text), { code: "bad-outputs-specifier" }, text);
  assert.throws(() => parseDerivedPath(nixStore, `${full.slice(0, -4)}!out`), {
    code: "bad-outputs-specifier",
    message: /not a derivation/,
  });
  for (const text of ["", "!out", `${full}!a!b`, "a.drv!out", `/nix/store/x/${drvPath}!out`])
    assert.throws(() => parseDerivedPath(nixStore, text), { code: "bad-store-path" }, text);
});

test("wanting", () => {
  assert.equal(wantOutput("out", allOutputs), true);
  assert.equal(wantOutput("out", names("out", "dev")), true);
  assert.equal(wantOutput("doc", names("out", "dev")), false);
  assert.deepEqual(unionOutputs(names("out"), names("dev")), names("out", "dev"));
  assert.deepEqual(unionOutputs(names("out"), allOutputs), allOutputs);
  assert.deepEqual(unionOutputs(allOutputs, names("out")), allOutputs);
  for (const name of ["", "a b", "a/b", "a,b", "*", "x".repeat(212)]) assert.equal(isOutputName(name), false, name);
});

test("parse undoes print, and damage is read or refused", () => {
  const separator = fc.constantFrom("!" as const, "^" as const);
  fc.assert(
    fc.property(arbitraryDerivedPath, separator, (derived, sign) => {
      assert.deepEqual(parseDerivedPath(nixStore, printDerivedPath(nixStore, derived, sign)), derived);
    }),
  );
  fc.assert(
    fc.property(
      arbitraryDamage(arbitraryDerivedPath.map((derived) => printDerivedPath(nixStore, derived, "!"))),
      (text) => {
        try {
          const derived = parseDerivedPath(nixStore, text);
          assert.deepEqual(parseDerivedPath(nixStore, printDerivedPath(nixStore, derived, "!")), derived);
        } catch (error) {
          assert.ok(error instanceof SiloError, String(error));
        }
      },
    ),
  );
});
