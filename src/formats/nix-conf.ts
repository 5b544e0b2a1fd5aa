/**
 * nix.conf, the text: lines of `NAME = VALUE`, `include FILE` and `!include FILE`.
 *
 * Everything from a `#` on is dropped, wherever it stands. What remains is cut into words at blanks, tabs and carriage
 * returns; the second word of a setting must be `=`, so `a=b` is refused, and the value is the other words joined by
 * single blanks, possibly none. A file that is included takes effect where the line stands; its name is relative to
 * the directory of the including file. See the Nix manual, "nix.conf"; 1.7 had no includes. Unlike Nix, includes are limited
 * in depth and number, so that a file including itself is an error and not a crash.
 *
 * Names are not interpreted here: whether `extra-NAME` appends depends on the table of settings.
 */
import { SiloError } from "../error.ts";
import { type ByteString, toText } from "./byte-string.ts";

/** Files that one file may pull in, one inside the other. */
export const maxIncludeDepth = 20;
/** Files that one expansion may read in all. */
export const maxIncludes = 500;

export type ConfLine =
  | { readonly kind: "assignment"; readonly name: ByteString; readonly value: ByteString; readonly line: number }
  | { readonly kind: "include"; readonly path: ByteString; readonly ifMissing: "fail" | "skip"; readonly line: number };

/** A `NAME = VALUE` line and where it stands; lines count from 1. */
export interface ConfAssignment {
  readonly name: ByteString;
  readonly value: ByteString;
  readonly file: ByteString;
  readonly line: number;
}

export interface ConfFile {
  /** What errors call it, and what an include in it is relative to. */
  readonly file: ByteString;
  readonly text: ByteString;
}

export interface IncludeDirective {
  readonly path: ByteString;
  readonly ifMissing: "fail" | "skip";
  /** The including file. */
  readonly from: ByteString;
  readonly line: number;
}

export class BadConf extends SiloError {
  readonly code = "bad-conf";
  constructor(
    readonly file: string,
    readonly line: number,
    readonly reason: string,
  ) {
    super(`Cannot read ${JSON.stringify(toText(file))}: line ${line}: ${toText(reason)}`);
  }
}

/** @throws BadConf for the first line that is neither a setting nor an include */
export function parseNixConf(text: ByteString, file: ByteString): ConfLine[] {
  const lines: ConfLine[] = [];
  let line = 0;
  for (const whole of text.split("\n")) {
    line++;
    const hash = whole.indexOf("#");
    const content = (hash < 0 ? whole : whole.slice(0, hash)) as ByteString;
    const [name, second, ...rest] = words(content);
    if (name === undefined) continue;
    if (name === "include" || name === "!include") {
      if (second === undefined || rest.length > 0) throw illegalLine(file, line, content, `"${name} FILE"`);
      lines.push({ kind: "include", path: second, ifMissing: name === "include" ? "fail" : "skip", line });
    } else if (second === "=") {
      lines.push({ kind: "assignment", name, value: rest.join(" ") as ByteString, line });
    } else {
      throw illegalLine(file, line, content, `"NAME = VALUE" with blanks around the "="`);
    }
  }
  return lines;
}

/**
 * The assignments of a file and of all that it includes, in the order in which they take effect.
 * @param readInclude finds an included file; undefined when there is none, which `!include` forgives
 * @throws BadConf for a bad line, a missing file, or includes without end
 */
export function expandNixConf(
  top: ConfFile,
  readInclude: (directive: IncludeDirective) => ConfFile | undefined,
): ConfAssignment[] {
  const assignments: ConfAssignment[] = [];
  let included = 0;
  const expand = ({ file, text }: ConfFile, depth: number): void => {
    for (const entry of parseNixConf(text, file)) {
      const { line } = entry;
      if (entry.kind === "assignment") {
        assignments.push({ name: entry.name, value: entry.value, file, line });
        continue;
      }
      const inner = readInclude({ path: entry.path, ifMissing: entry.ifMissing, from: file, line });
      if (inner === undefined) {
        if (entry.ifMissing === "skip") continue;
        throw new BadConf(file, line, `included file ${JSON.stringify(entry.path)} not found`);
      }
      if (depth === maxIncludeDepth)
        throw new BadConf(file, line, `includes more than ${maxIncludeDepth} files deep: does it include itself?`);
      if (++included > maxIncludes) throw new BadConf(file, line, `more than ${maxIncludes} files included`);
      expand(inner, depth + 1);
    }
  };
  expand(top, 0);
  return assignments;
}

/** The words of a text: Nix takes blanks, tabs, line feeds and carriage returns as space and nothing else. */
export function words(text: ByteString): ByteString[] {
  const found: ByteString[] = [];
  let start = 0;
  for (let end = 0; end <= text.length; end++) {
    const code = end < text.length ? text.charCodeAt(end) : 0x20;
    if (code !== 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) continue;
    if (end > start) found.push(text.slice(start, end) as ByteString);
    start = end + 1;
  }
  return found;
}

function illegalLine(file: string, line: number, content: string, expected: string): BadConf {
  const shown = content.length > 200 ? `${content.slice(0, 200)}…` : content;
  return new BadConf(file, line, `illegal configuration line ${JSON.stringify(shown.trim())}, expected ${expected}`);
}
