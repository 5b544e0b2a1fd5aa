/** Recipes as files: imports, relative paths, exports, and the one line that each mistake is told in. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import { defaultStoreDir } from "../../src/formats/store-path.ts";
import { createEvaluation } from "../../src/recipe/evaluation.ts";
import { loadRecipe } from "../../src/recipe/load-recipe.ts";
import { RecipeError } from "../../src/recipe/recipe-error.ts";
import { type Selected, selectFrom } from "../../src/recipe/select.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "silo-load-recipe-")));
after(() => rmSync(root, { recursive: true, force: true }));

let directories = 0;

/** Writes files into a directory of their own; the first is the recipe. */
function recipe(files: Readonly<Record<string, string>>): string {
  const directory = join(root, String(directories++));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return join(directory, Object.keys(files)[0]!);
}

async function select(file: string, attribute?: string): Promise<Selected & { name: string }> {
  const evaluation = createEvaluation(defaultStoreDir, "x86_64-linux");
  const selected = await selectFrom(await loadRecipe(evaluation, file), file, attribute);
  const path = selected.kind === "source" ? selected.path : selected.drvPath;
  return { ...selected, name: path.slice(33) };
}

async function failure(files: Readonly<Record<string, string>>, attribute?: string): Promise<string> {
  const file = recipe(files);
  const error = await select(file, attribute).then(
    () => assert.fail("no error"),
    (error: unknown) => error,
  );
  assert.ok(error instanceof RecipeError, String(error instanceof Error ? error.stack : error));
  assert.ok(!error.message.includes("\n"), error.message);
  return error.message.replaceAll(`${dirname(file)}/`, "");
}

describe("loading", () => {
  test("the default export, another, a member, an output, what a function gives, a promise", async () => {
    const text = `
      import { derivation, text } from "silo";
      import type { Derivation } from "silo";
      const make = (name: string): Derivation<"out" | "dev"> => derivation({ name, builder: "b", outputs: ["out", "dev"] });
      export const one = make("one"), lazy = () => make("lazy"), file = text("t", "x");
      export const set = { inner: make("inner"), deep: { er: async () => make("deeper") } };
      export const later = Promise.resolve(make("later"));
      export default one;`;
    const file = recipe({ "silo.ts": text });
    assert.deepEqual(
      [
        await select(file),
        await select(file, "one.dev"),
        await select(file, "lazy"),
        await select(file, "set.inner"),
        await select(file, "set.deep.er"),
        await select(file, "later"),
        await select(file, "file"),
      ].map((each) => [each.name, each.kind === "derivation" ? each.output : "source"]),
      [
        ["one.drv", undefined],
        ["one.drv", "dev"],
        ["lazy.drv", undefined],
        ["inner.drv", undefined],
        ["deeper.drv", undefined],
        ["later.drv", undefined],
        ["t", "source"],
      ],
    );
  });

  test("recipes import recipes, and relative paths begin where they are written", async () => {
    const file = recipe({
      "silo.ts": `import { derivation, path } from "silo"; import { data } from "./lib/data.ts";
        export default derivation({ name: "x", builder: "b", env: { mine: path("data"), its: data() } });
        export const mine = path("./data"), its = data(), again = (await import("./lib/data.ts")).data;`,
      data: "mine",
      "lib/data.ts": `/* a comment */ // and another
        'use strict';
        import * as silo
          from 'silo';
        export const data = () => silo.path("./data", { name: "data" });`,
      "lib/data": "its",
    });
    const [mine, its, again] = [await select(file, "mine"), await select(file, "its"), await select(file, "again")];
    assert.notDeepEqual(mine, its);
    assert.deepEqual(its, again);
    assert.deepEqual((await select(file)).kind, "derivation");
  });

  test("a directory's name may have nearly any characters", async () => {
    const file = recipe({
      "we ird#ab%20ä/silo.ts": `import { path } from "silo"; export default path("./x");`,
      "we ird#ab%20ä/x": "",
    });
    assert.equal((await select(file)).kind, "source");
    await assert.rejects(select(recipe({ "a?b/silo.ts": "export default 1;" })), /its path contains a question mark$/);
  });
});

describe("mistakes are told in one line with their place", () => {
  const cases: Readonly<Record<string, readonly [recipe: string, message: RegExp, attribute?: string]>> = {
    "something undefined in the environment": [
      `import { derivation } from "silo";\n\nconst flags: { a?: string } = {};\nexport default derivation({\n  name: "x", builder: "b", env: { A: flags.a! } });`,
      /^silo\.ts:4:\d+: derivation 'x': env\.A: is undefined; leave it out, or use null/,
    ],
    "an option that there is not": [
      `import { derivation } from "silo";\nexport default derivation({ name: "x", buidler: "b" } as never);`,
      /^silo\.ts:2:\d+: derivation: there is no option 'buidler' \(did you mean 'builder'\?\)$/,
    ],
    "a variable where options are": [
      `import { derivation } from "silo";\nexport default derivation({ name: "x", builder: "b", CFLAGS: "-O2" } as never);`,
      /there is no option 'CFLAGS'; variables of the environment go into 'env'$/,
    ],
    "a missing option": [
      `import { derivation } from "silo";\nexport default derivation({ name: "x" } as never);`,
      /^silo\.ts:2:\d+: derivation: 'builder' is missing$/,
    ],
    "no options at all": [
      `import { shellBuild } from "silo";\nexport default shellBuild(undefined as never);`,
      /^silo\.ts:2:\d+: shellBuild: expected an object of options, such as \{ name: … \}, not undefined$/,
    ],
    "a bad name": [
      `import { derivation } from "silo";\nexport default derivation({ name: "a b", builder: "b" });`,
      /^silo\.ts:2:\d+: derivation: cannot be named "a b": name contains the illegal character " "$/,
    ],
    "a hash that is none": [
      `import { fetchurl } from "silo";\nexport default fetchurl({ url: "https://x.org/y", sha256: "abc" });`,
      /^silo\.ts:2:\d+: derivation 'y': "abc" is no hash: wrong length/,
    ],
    "an output that there is not": [
      `import { derivation } from "silo";\nconst a = derivation({ name: "a", builder: "b", outputs: ["out", "dev"] });\nexport default a.output("den");`,
      /^silo\.ts:3:\d+: 'a' has no output 'den' \(did you mean 'dev'\?\), it has: out, dev$/,
    ],
    "a text that mentions what is built": [
      `import { runCommand, text } from "silo";\nconst a = runCommand("a", "x");\nexport default text("t", \`\${a}\`);`,
      /^silo\.ts:3:\d+: text 't': mentions 'a', which has to be built first; use textFile$/,
    ],
    "a file that there is not": [
      `import { path } from "silo";\nexport default path("./nowhere");`,
      /^silo\.ts:2:\d+: path "\.\/nowhere": there is no file '.*\/nowhere'|^silo\.ts:2:\d+: path "\.\/nowhere": there is no file 'nowhere'$/,
    ],
    "a syntax error": [
      `import { text } from "silo";\n\nexport default text("a" "b");`,
      /^silo\.ts:3:\d+: syntax error: Expected/,
    ],
    "a module that there is not": [
      `import { text } from "silo";\nimport { x } from "./nowhere.ts";\nexport default text("a", x);`,
      /^silo\.ts:2:\d+: cannot find the module '.*nowhere\.ts'; write its name with the extension/,
    ],
    "a package": [
      `import { text } from "silo";\n\nimport { x } from "leftpadding-of-nobody";\nexport default text("a", x);`,
      /^silo\.ts:3:\d+: cannot find the module 'leftpadding-of-nobody'; recipes import 'silo'/,
    ],
    "a name that silo does not export": [
      `import { text,\n  shellbuild } from "silo";\nexport default shellbuild(text("a", ""));`,
      /^silo\.ts:2:\d+: 'silo' has no export 'shellbuild' \(did you mean 'shellBuild'\?\)$/,
    ],
    "an error that the recipe throws": [
      `import { text } from "silo";\nfunction fail(): never {\n  throw new Error("too bad");\n}\nfail();\nexport default text("a", "");`,
      /^silo\.ts:3:\d+: Error: too bad$/,
    ],
    "a type error": [
      `import { text } from "silo";\nlet nothing: { a: { b: string } } | undefined;\nexport default text("a", nothing!.a.b);`,
      /^silo\.ts:3:\d+: TypeError: /,
    ],
    "something thrown that is no error": [`throw "a string";`, /^silo\.ts: the recipe threw "a string"$/],
    "no default export": [
      `import { text } from "silo";\nexport const one = text("one", ""), two = one;`,
      /^silo\.ts: has no default export; it exports: one, two \(write silo\.ts#one\)$/,
    ],
    "an attribute that there is not": [
      `import { text } from "silo";\nexport const hello = text("one", "");`,
      /^silo\.ts: there is no 'helo' \(did you mean 'hello'\?\); it exports: hello/,
      "helo",
    ],
    "an attribute that cannot be built": [
      `export const pkgs = { a: 1, b: 2 };`,
      /^silo\.ts: 'pkgs' is an object, which cannot be built; it has: a, b$/,
      "pkgs",
    ],
    "a function that fails": [
      `import { text } from "silo";\nexport default () => {\n  const made = [text("a/b", "")];\n  return made.pop();\n};`,
      /^silo\.ts:3:\d+: text: cannot be named "a\/b": name contains the illegal character "\/"$/,
    ],
    "a filter that fails": [
      `import { path } from "silo";\nconst tree = path(".", { name: "x", filter: (file) => {\n  throw new Error(file);\n} });\nexport default tree;`,
      /^silo\.ts:3:\d+: Error: silo\.ts$/,
    ],
    "a promise in a variable": [
      `import { derivation } from "silo";\nexport default derivation({ name: "x", builder: "b", env: { A: Promise.resolve("a") as never } });`,
      /env\.A: is a promise; put 'await' before it$/,
    ],
  };
  for (const [name, [text, message, attribute]] of Object.entries(cases)) {
    test(name, async () => assert.match(await failure({ "silo.ts": text }, attribute), message));
  }
});
