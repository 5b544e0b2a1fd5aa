/** `--json`, wherever there is data: one document on standard output and nothing else. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { createTempStore } from "../support/temp-store.ts";

const store = createTempStore();
after(() => store.remove());
const recipe = `import { runCommand, text } from "silo";
  const words = text("words", "words");
  const one = runCommand("one", \`echo \${words} >$out\`);
  export default runCommand("two", \`echo \${one} >$out\`);`;
writeFileSync(join(store.dir, "silo.ts"), recipe);

function json<T>(...args: string[]): T {
  const { status, stdout, stderr } = store.run("silo", "silo", [...args, "--json"]);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout.toString()) as T;
}

interface Freed {
  readonly paths: readonly string[];
  readonly bytesFreed: number;
}

interface Checked {
  readonly settings: readonly { name: string; value: string; source: Record<string, unknown> }[];
  readonly warnings: readonly string[];
}

test("what is built, what it needs, and what is deleted when nobody needs it", () => {
  const [built] = json<[{ outputs: { out: string } }]>("build", "--no-link");
  const { out } = built.outputs;
  const tree = json<Record<string, string[]>>("tree", out);
  const [one] = tree[out]!;
  assert.match(one!, /-one$/);
  assert.deepEqual(Object.keys(tree).sort(), [out, one!, ...tree[one!]!].sort());
  const [words] = tree[one!]!;
  assert.deepEqual(tree[words!], []);
  assert.equal(json<string[]>("why-depends", out, words!).length, 3);
  const { paths, bytesFreed } = json<Freed>("gc");
  assert.ok(paths.includes(out) && paths.includes(one!));
  assert.ok(bytesFreed > 0);
  assert.deepEqual(json<Freed>("gc").paths, []);
});

test("hashes and configuration", () => {
  const empty = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
  assert.deepEqual(json<unknown>("hash", "text", ""), [{ operand: "", hash: empty }]);
  const [{ hash }] = json<[{ hash: string }]>("hash", "convert", "--as", "base16", empty);
  assert.match(hash, /^e3b0c44298fc1c14/);
  const { settings, warnings } = json<Checked>("config", "check");
  assert.deepEqual(warnings, []);
  const sandbox = settings.find(({ name }) => name === "sandbox")!;
  assert.deepEqual([sandbox.value, sandbox.source["kind"], sandbox.source["line"]], ["false", "file", 3]);
});
