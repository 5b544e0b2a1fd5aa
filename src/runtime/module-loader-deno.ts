/** Loading a user's modules on Deno, through the hooks of `node:module`, which tell who imports. */
/// <reference types="@types/deno" />
import { registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { HostModule, ModuleLoader } from "./module-loader.ts";

/** Where the text of a module that stands for ours finds what it exports. */
const exportsKey = Symbol.for("silo module exports");

function provide({ specifier, names, exportsFor }: HostModule): void {
  const scheme = `${specifier}:`;
  Object.defineProperty(globalThis, exportsKey, { value: exportsFor });
  registerHooks({
    resolve(wanted, context, next) {
      if (wanted !== specifier) return next(wanted, context);
      return { url: scheme + (context.parentURL ?? ""), format: "module", shortCircuit: true };
    },
    load(url, context, next) {
      if (!url.startsWith(scheme)) return next(url, context);
      const parent = url.slice(scheme.length);
      const file = parent.startsWith("file:") ? fileURLToPath(parent) : "";
      const key = `Symbol.for(${JSON.stringify(Symbol.keyFor(exportsKey))})`;
      const source = `export const { ${names.join(", ")} } = globalThis[${key}](${JSON.stringify(file)});`;
      return { format: "module", source, shortCircuit: true };
    },
  });
}

export const moduleLoader: ModuleLoader = {
  provide,
  load: (file) => import(pathToFileURL(file).href),
};
