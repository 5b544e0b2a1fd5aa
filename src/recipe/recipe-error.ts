/** A mistake in a user's recipe, with the place in the recipe where that is known. */
import { SiloError } from "../error.ts";

/** Where in a recipe something is. Lines and columns count from 1. */
export interface RecipePlace {
  readonly file: string;
  readonly line: number | undefined;
  readonly column: number | undefined;
}

export class RecipeError extends SiloError {
  readonly code = "recipe";
  constructor(
    readonly reason: string,
    readonly place?: RecipePlace,
    options?: { readonly cause: unknown },
  ) {
    super(place === undefined ? reason : `${showPlace(place)}: ${reason}`, options);
  }
}

/** `file:line:column`, below the current directory without it. */
export function showPlace({ file: path, line, column }: RecipePlace): string {
  const here = `${process.cwd()}/`;
  const file = path.startsWith(here) ? path.slice(here.length) : path;
  if (line === undefined) return file;
  return column === undefined ? `${file}:${line}` : `${file}:${line}:${column}`;
}
