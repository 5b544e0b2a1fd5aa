/**
 * How long it takes to start builders and clear up after them, without a scheduler or a store: 200 that do nothing, one
 * or two at a time, and one that sees many inputs.
 */
import { mkdirSync } from "node:fs";
import { parseStorePath } from "../../src/formats/store-path.ts";
import { type Case, testStore } from "../../test/support/sandboxed-builder.ts";

const builders = 200;
const store = testStore();

async function runMany(what: Case, atOnce: number): Promise<void> {
  let left = builders;
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left-- > 0) {
        const { exit } = await store.run(what);
        if (exit.kind !== "exited" || exit.status !== 0) throw new Error(JSON.stringify(exit));
      }
    }),
  );
  report(`${builders} builders, ${what.isolation}, ${atOnce} at once`, begin, builders);
}

function report(name: string, begin: number, count: number): void {
  const ms = performance.now() - begin;
  console.log(`${name.padEnd(48)} ${ms.toFixed(0).padStart(6)} ms  ${(ms / count).toFixed(2).padStart(6)} ms each`);
}

for (const isolation of ["none", "sandbox"] as const) {
  for (const atOnce of [1, 2]) await runMany({ isolation }, atOnce);
}
for (const count of [500, 1000, 2000, 4000]) {
  const inputs = Array.from({ length: count }, (_, i) => {
    const input = parseStorePath(`${String(i).padStart(32, "0")}-input`);
    mkdirSync(`${store.storeDir}/${input}`, { recursive: true });
    return input;
  });
  const begin = performance.now();
  await store.run({ isolation: "sandbox", sandbox: { inputs } });
  report(`a builder that sees ${count} inputs`, begin, count);
}
store.remove();
process.exit(0);
