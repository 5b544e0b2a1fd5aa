/** The parts of yargs that silo uses; the packages bring no types. */

declare module "yargs-parser/browser" {
  interface ParserOptions {
    readonly alias: Readonly<Record<string, readonly string[]>>;
    readonly count: readonly string[];
    readonly string: readonly string[];
    readonly narg: Readonly<Record<string, number>>;
    readonly configuration: Readonly<Record<string, boolean>>;
  }
  interface ParserResult {
    readonly argv: Readonly<Record<string, unknown>> & { readonly _: readonly string[] };
    readonly error: Error | null;
  }
  const parser: { detailed(args: readonly string[], options: ParserOptions): ParserResult };
  export default parser;
}

declare module "yargs" {
  interface YargsOption {
    readonly alias?: readonly string[];
    readonly describe?: string;
  }
  export interface Yargs {
    scriptName(name: string): Yargs;
    option(name: string, option: YargsOption): Yargs;
    help(enabled: boolean): Yargs;
    version(enabled: boolean): Yargs;
    parserConfiguration(configuration: Readonly<Record<string, boolean>>): Yargs;
    exitProcess(enabled: boolean): Yargs;
    getCompletion(args: readonly string[]): Promise<string[]>;
  }
  export default function yargs(args?: readonly string[]): Yargs;
}
