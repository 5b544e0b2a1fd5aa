/**
 * The import declarations that a module begins with, found without a parser of the whole language: from the top of the file,
 * only space, comments, directives such as "use strict", and declarations `import … from "…"` or `export … from "…"` are passed.
 */

// No two alternatives can match at one place, nor can one end at two: a regular expression that has a choice may take for ever.
const comment = String.raw`\/\/[^\n]*(?=\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/`;
const skipped = String.raw`(?:\s|${comment})*`;
const clause = String.raw`(?:[\w$\s{},*]|${comment}|"[^"\n]*"\s+as\b)*?`;
const specifier = String.raw`(["'])([^"'\\\n]*)\2`;
/** Sticky, to go from one to the next. Groups: what precedes the specifier, its quote, the specifier. */
const declaration = new RegExp(
  String.raw`(${skipped}(?:(?:import|export)\b${clause}\bfrom|import)${skipped})${specifier}|${skipped}(?:"use [^"\n]*"|'use [^'\n]*'|;)`,
  "y",
);

/** The source with `to` in the place of `from` where the leading declarations import or export from that module. Lines stay. */
export function renameImports(source: string, from: string, to: string): string {
  if (!source.includes(from)) return source;
  let result = "";
  let done = 0;
  declaration.lastIndex = source.startsWith("#!")
    ? Math.max(0, source.indexOf("\n"))
    : source.startsWith("\ufeff")
      ? 1
      : 0;
  for (let found = declaration.exec(source); found !== null; found = declaration.exec(source)) {
    if (found[3] !== from) continue;
    result += source.slice(done, found.index) + found[1] + JSON.stringify(to);
    done = declaration.lastIndex;
  }
  return result + source.slice(done);
}
