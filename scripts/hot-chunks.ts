/**
 * Prints, one a line, the chunks of a split build that deserve byte code: what the start of commands loads. The bundler's
 * metafile is the argument.
 *
 * Byte code is five times as large as its source and saves only the time to parse it, which matters where a command is
 * over in milliseconds: not for ssh, which waits for the network, or a builder's scheduler, which waits for builders.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";

/** The modules that the entry point loads at once, and those it loads for the command to run. Their imports count, too. */
const hotModules = [
  "main",
  "applets/build-stage",
  "applets/command-line/help-page",
  "applets/hash-paths",
  "applets/nix-hash",
  "applets/nix-store/add",
  "applets/nix-store/check-validity",
  "applets/nix-store/query/closure-queries",
  "applets/nix-store/nix-store",
  "applets/nix-store/query/path-queries",
  "applets/nix-store/query/query",
  "applets/silo/add",
  "applets/silo/build",
  "applets/silo/path-info",
  "recipe/load-recipe",
].map((name) => `src/${name}.ts`);

interface Output {
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly imports: readonly { readonly path: string; readonly kind: string }[];
}

const metafile = process.argv[2]!;
const { outputs }: { readonly outputs: Readonly<Record<string, Output>> } = JSON.parse(readFileSync(metafile, "utf8"));

const hot = new Set<string>();
for (const module of hotModules) {
  const chunk = Object.keys(outputs).find((name) => Object.hasOwn(outputs[name]!.inputs, module));
  if (chunk === undefined) throw new Error(`${metafile}: no chunk holds ${module}`);
  visit(chunk);
}
for (const chunk of hot) console.log(`./${basename(chunk)}`);

function visit(chunk: string): void {
  if (hot.has(chunk)) return;
  hot.add(chunk);
  for (const { path, kind } of outputs[chunk]?.imports ?? []) if (kind === "import-statement") visit(path);
}
