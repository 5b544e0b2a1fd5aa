/**
 * Checks the layers of the source from its imports: they point downwards only, services do not import each other, and
 * only src/runtime names Bun or Deno. Prints each breach and exits 1.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** From the top; folders in one row do not import each other. */
const layers: readonly (readonly string[])[] = [
  ["main.ts"],
  ["applets"],
  ["recipe"],
  ["build", "sandbox", "gc", "substitute", "remote", "daemon"],
  ["store"],
  ["formats"],
  ["sys"],
  ["runtime"],
  ["error.ts", "version.ts", "node-crypto.ts"],
];

/** Packages that have one importing place. */
const packageHomes: Readonly<Record<string, RegExp>> = {
  yargs: /^applets\//,
  "yargs-parser": /^applets\//,
  ssh2: /^remote\//,
  "cbor-x": /^(formats|store|sandbox|remote)\//,
  "bun:": /^runtime\//,
};

const root = join(import.meta.dirname, "../src");
const breaches: string[] = [];

function rank(file: string): number {
  const top = file.split("/")[0]!;
  const index = layers.findIndex((row) => row.includes(top));
  if (index < 0) breaches.push(`${file}: the folder '${top}' is not in the list of layers`);
  return index;
}

for (const file of readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"))) {
  const text = readFileSync(join(root, file), "utf8");
  const [top] = file.split("/");
  const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
  if (top !== "runtime" && /\b(Bun|Deno)\s*\./.test(code)) breaches.push(`${file}: names a runtime`);
  for (const match of text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)) {
    const target = match[1]!;
    if (target.startsWith(".")) {
      const imported = normalize(join(dirname(file), target));
      const [importedTop] = imported.split("/");
      const [from, to] = [rank(file), rank(imported)];
      if (to < from) breaches.push(`${file}: imports upwards, ${imported}`);
      if (to === from && top !== importedTop && from !== layers.length - 1) {
        breaches.push(`${file}: imports its neighbour ${imported}; what they share belongs in store`);
      }
      if (top === "formats" && (importedTop === "sys" || importedTop === "runtime")) {
        breaches.push(`${file}: formats are pure, they do not use ${imported}`);
      }
    } else if (target === "#runtime") {
      if (top !== "sys" && top !== "store") breaches.push(`${file}: only sys and store use the runtime seam`);
    } else {
      for (const [name, home] of Object.entries(packageHomes)) {
        if ((target === name || target.startsWith(name.endsWith(":") ? name : `${name}/`)) && !home.test(file)) {
          breaches.push(`${file}: imports ${target}, whose place is ${home.source}`);
        }
      }
    }
  }
}

for (const breach of breaches) console.error(`lint-layers: ${breach}`);
process.exit(breaches.length > 0 ? 1 : 0);
