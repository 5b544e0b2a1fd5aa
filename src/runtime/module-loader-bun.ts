/**
 * Loading a user's modules on Bun, in a compiled executable too. A plugin cannot tell who imports a bare name, so each file is
 * loaded through us, and its import of our module is led to one that is the file's own.
 */
/// <reference types="bun-types" />
import { readFileSync } from "node:fs";
import { renameImports } from "./import-declarations.ts";
import type { HostModule, ModuleLoader } from "./module-loader.ts";

/** Files of the user; those of packages are left to the runtime, which also knows CommonJS. */
const ownFiles = /^(?!.*\/node_modules\/).*\.[cm]?[jt]sx?$/;

function provide({ specifier, exportsFor }: HostModule): void {
  Bun.plugin({
    name: specifier,
    setup(build) {
      build.module(specifier, () => ({ exports: { ...exportsFor("") }, loader: "object" }));
      build.onLoad({ filter: ownFiles }, ({ path }) => {
        const source = readFileSync(path, "utf8");
        const own = `${specifier}:${path}`;
        const contents = renameImports(source, specifier, own);
        if (contents !== source) build.module(own, () => ({ exports: { ...exportsFor(path) }, loader: "object" }));
        return { contents, loader: loaderOf(path) };
      });
    },
  });
}

function loaderOf(path: string): "ts" | "tsx" | "js" | "jsx" {
  if (path.endsWith("tsx")) return "tsx";
  if (path.endsWith("jsx")) return "jsx";
  return path.endsWith("ts") ? "ts" : "js";
}

export const moduleLoader: ModuleLoader = {
  provide,
  load: (file) => import(file),
};
