/**
 * An adder for campaigns against collectors: `gc-adder.ts STORE-ROOTS-DIR SEED COUNT`. Adds chains of texts that refer to the ones
 * before, and after each step makes sure that everything it has added is still valid and on disk; then makes a root of the last and
 * prints its path.
 */
import { join } from "node:path";
import type { StorePath } from "../../src/formats/store-path.ts";
import { addText } from "../../src/store/add.ts";
import { directoriesFromEnvironment } from "../../src/store/directories.ts";
import { loadSettings } from "../../src/store/load-settings.ts";
import { realPath, showPath } from "../../src/store/local-store.ts";
import { openLocalStore } from "../../src/store/open-local-store.ts";
import { queryValidPaths } from "../../src/store/queries.ts";
import { silentReporter } from "../../src/store/reporter.ts";
import { addPermanentRoot } from "../../src/store/roots.ts";
import { exists } from "../../src/sys/names.ts";

export const gcAdder: string = import.meta.filename;

function main(): void {
  const [roots, seed, count] = process.argv.slice(2);
  const directories = directoriesFromEnvironment(process.env);
  const store = openLocalStore({
    ...directories,
    realStoreDir: directories.storeDir,
    settings: loadSettings(process.env, directories).settings,
    reporter: silentReporter,
    access: "read-write",
  });
  const added: StorePath[] = [];
  for (let i = 0; i < Number(count); i++) {
    // Every other text is one that other adders add, too, and that collectors have deleted before.
    const text = i % 2 === 0 ? `common ${i}` : `of ${seed}, ${i}`;
    const references = i % 2 === 0 ? [] : added.slice(-2);
    added.push(addText(store, `text-${i}`, Buffer.from(text), references));
    const valid = queryValidPaths(store, added);
    for (const path of added) {
      if (!valid.has(path)) throw new Error(`${showPath(store, path)} was collected while its adder lives`);
      if (!exists(realPath(store, path))) throw new Error(`${showPath(store, path)} is valid but gone`);
    }
  }
  const last = added.at(-1)!;
  addPermanentRoot(store, last, join(roots!, `adder-${seed}`));
  process.stdout.write(`${showPath(store, last)}\n`);
  store.close();
}

if (process.argv[1] === gcAdder) main();
