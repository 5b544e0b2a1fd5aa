/** The imports at the top of a module are found, and nothing else is changed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { renameImports } from "../../src/runtime/import-declarations.ts";

const rename = (source: string) => renameImports(source, "silo", "silo:/x");

test("imports and exports at the top", () => {
  const cases: readonly (readonly [source: string, renamed: string])[] = [
    [`import { a } from "silo";`, `import { a } from "silo:/x";`],
    [`import{a}from'silo'`, `import{a}from"silo:/x"`],
    [`import * as silo from "silo"\nsilo.text()`, `import * as silo from "silo:/x"\nsilo.text()`],
    [`import a, { b as c, type D } from "silo";`, `import a, { b as c, type D } from "silo:/x";`],
    [`import "silo";`, `import "silo:/x";`],
    [`export * from "silo"; export { a } from "silo";`, `export * from "silo:/x"; export { a } from "silo:/x";`],
    [
      `import x from "other";\nimport {\n  a, // why\n  /* and */ b,\n} from "silo";`,
      `import x from "other";\nimport {\n  a, // why\n  /* and */ b,\n} from "silo:/x";`,
    ],
    [
      `#!/usr/bin/env silo\n/** import {} from "silo" */\n"use strict";\nimport {a} from "silo"`,
      `#!/usr/bin/env silo\n/** import {} from "silo" */\n"use strict";\nimport {a} from "silo:/x"`,
    ],
    [`\ufeffimport {a} from "silo"`, `\ufeffimport {a} from "silo:/x"`],
    [
      `import { $a, _b } /* from "x" */ from /* here */ "silo" with { type: "x" };`,
      `import { $a, _b } /* from "x" */ from /* here */ "silo:/x" with { type: "x" };`,
    ],
  ];
  for (const [source, renamed] of cases) assert.equal(rename(source), renamed);
});

test("all else stays", () => {
  const cases = [
    "",
    `import { a } from "silos";`,
    `const text = 'import { a } from "silo"';`,
    `export const a = 1; /* from */ "silo";`,
    'const t = `\nimport { a } from "silo";\n`;',
    `// import { a } from "silo"`,
    `import { a } from "silo`,
  ];
  for (const source of cases) assert.equal(rename(source), source);
});

test("no text takes long", () => {
  const comments = "/* a */ // b\n".repeat(20_000);
  for (const source of [
    `${comments}import { a } from "silo";`,
    `${comments}; silo`,
    `import ${"{ a, ".repeat(20_000)} silo`,
    `import ${"/* ".repeat(20_000)} silo`,
    `${"/*".repeat(20_000)}silo`,
    `${"// ".repeat(20_000)}silo`,
    `${"import ".repeat(20_000)}silo`,
  ]) {
    const start = performance.now();
    rename(source);
    assert.ok(performance.now() - start < 2000, source.slice(0, 20));
  }
});
