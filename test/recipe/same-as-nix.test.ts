/**
 * Recipes beside Nix expressions: each pair must give the same `.drv` path and, byte for byte, the same file. Checked against Nix 2.8.0,
 * which writes all cases into one temporary store; ours are made in memory.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { decodeBytes } from "../../src/formats/byte-string.ts";
import { parseStoreDir } from "../../src/formats/store-path.ts";
import { createApi, type RecipeApi } from "../../src/recipe/api.ts";
import { createEvaluation, type Evaluation } from "../../src/recipe/evaluation.ts";
import { dependencyOf } from "../../src/recipe/store-object.ts";
import type { Derivation } from "../../src/recipe/silo.d.ts";
import { arbitraryRecipe } from "../support/arbitrary-recipe.ts";
import { nixCases } from "../support/recipe-nix-cases.ts";

const hasNix = spawnSync("nix-instantiate", ["--version"]).status === 0;
const skip = hasNix || process.env["SILO_REQUIRE_PEERS"] === "1" ? false : "stock Nix is not installed";

const root = mkdtempSync(join(tmpdir(), "silo-recipe-nix-"));
const storeDir = join(root, "store");
const system = "x86_64-linux";
let nixPaths: string[] = [];

function makeTree(): void {
  const tree = join(root, "tree");
  mkdirSync(join(tree, "sub"), { recursive: true });
  writeFileSync(join(tree, "a.c"), "int a;\n");
  writeFileSync(join(tree, "a.o"), "object\n");
  writeFileSync(join(tree, "sub/run.sh"), "#!/bin/sh\n");
  chmodSync(join(tree, "sub/run.sh"), 0o755);
  symlinkSync("../a.c", join(tree, "sub/link"));
}

before(() => {
  if (skip !== false) return;
  makeTree();
  mkdirSync(join(root, "etc"));
  const list = nixCases.map(({ nix }) => `(${nix})`).join("\n");
  nixPaths = instantiate(`let system = "${system}"; tree = ${join(root, "tree")}; in [\n${list}\n]`);
});

/** The paths of the derivations in the list that the expression gives. */
function instantiate(text: string): string[] {
  const expression = join(root, "cases.nix");
  writeFileSync(expression, text);
  const env = {
    PATH: process.env["PATH"],
    HOME: root,
    NIX_STORE_DIR: storeDir,
    NIX_STATE_DIR: join(root, "state"),
    NIX_LOG_DIR: join(root, "log"),
    NIX_CONF_DIR: join(root, "etc"),
    NIX_CONFIG: "experimental-features = ca-derivations\nbuild-users-group =",
  };
  const printed = execFileSync("nix-instantiate", [expression], { env, encoding: "utf8", stdio: "pipe" });
  // Behind the path is which output the expression means, when it is not `out`.
  return printed
    .trim()
    .split("\n")
    .map((line) => line.replace(/!.*/, ""));
}

after(() => rmSync(root, { recursive: true, force: true }));

describe("the same as Nix", { skip }, () => {
  test("every case was instantiated", () => assert.equal(nixPaths.length, nixCases.length));
  nixCases.forEach(({ name, recipe }, index) => {
    test(name, () => {
      const evaluation = createEvaluation(parseStoreDir(storeDir), system);
      const api: RecipeApi = createApi(evaluation, join(root, "silo.ts"));
      const made = recipe(api);
      const expected = nixPaths[index]!;
      assert.equal(fileOf(evaluation, made), decodeBytes(readFileSync(expected)));
      assert.equal(made.drvPath, expected);
    });
  });
});

test("recipes made at random", { skip, timeout: 120_000 }, () => {
  // One after the other, so that later ones depend on earlier ones; all in one expression, as Nix takes long to start.
  fc.assert(
    fc.property(fc.array(arbitraryRecipe, { minLength: 40, maxLength: 40 }), (recipes) => {
      const bindings = recipes.map(({ nix }, index) => `d${index} = ${nix(index)};`);
      const list = recipes.map((_, index) => `d${index}`).join(" ");
      const expected = instantiate(`let system = "${system}"; ${bindings.join("\n")} in [ ${list} ]`);
      const evaluation = createEvaluation(parseStoreDir(storeDir), system);
      const api = createApi(evaluation, join(root, "silo.ts"));
      const made: Derivation[] = [];
      for (const [index, { make }] of recipes.entries()) {
        made.push(make(api, made));
        assert.equal(fileOf(evaluation, made[index]!), decodeBytes(readFileSync(expected[index]!)), bindings[index]!);
      }
      assert.deepEqual(
        made.map((each) => each.drvPath),
        expected,
      );
    }),
    { numRuns: 8, endOnFailure: true },
  );
});

function fileOf(evaluation: Evaluation, made: object): string {
  const dependency = dependencyOf(made);
  assert.ok(dependency !== undefined && dependency.kind !== "source");
  return evaluation.derivations.get(dependency.drvPath)!.file.contents;
}
