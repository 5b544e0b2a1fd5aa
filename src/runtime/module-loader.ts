/**
 * Loading a user's module while the program runs, with a module of ours that it can import by name. `module-loader-bun.ts`
 * and `module-loader-deno.ts` implement it, chosen by the conditions of package.json's `imports`.
 */

/** The module of ours that user's files find under `specifier`, such as `silo`. Each file that imports it gets its own. */
export interface HostModule {
  readonly specifier: string;
  /** The names that {@link exportsFor} gives. */
  readonly names: readonly string[];
  /** @param file the absolute path of the importing file */
  readonly exportsFor: (file: string) => Readonly<Record<string, unknown>>;
}

export interface ModuleLoader {
  /** To be called once in a process, before the first {@link load}. Sees all files below no `node_modules`. */
  provide(host: HostModule): void;
  /**
   * The exports of a TypeScript or JavaScript file; the same file twice is the same module. `file` is absolute and has no
   * question mark. @throws whatever the module throws
   */
  load(file: string): Promise<Readonly<Record<string, unknown>>>;
}

/** The runtime's implementation, under the name that every importer of `#module-loader` uses. */
export declare const moduleLoader: ModuleLoader;
