/**
 * What went wrong in a recipe, in one line with its place. The runtimes tell syntax errors, missing modules and thrown errors each in
 * their own way; what they have in common is the stack, in which the frames of this program are left out.
 */
import { readFileSync } from "node:fs";
import { dirname, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { SiloError } from "../error.ts";
import { apiNames } from "./api.ts";
import { describe } from "./check-options.ts";
import { nearestName } from "./nearest-name.ts";
import { RecipeError, type RecipePlace } from "./recipe-error.ts";

/** The error to show. One that is a mistake of this program's comes back as it is. @param file the recipe that was loaded */
export function explainRecipeFailure(error: unknown, file: string): unknown {
  if (error instanceof RecipeError && error.place !== undefined) return error;
  const whole: RecipePlace = { file, line: undefined, column: undefined };
  if (!isErrorLike(error)) return new RecipeError(`the recipe threw ${describe(error)}`, whole, { cause: error });
  const at = stackPlaces(error);
  if (error instanceof SiloError) return new RecipeError(error.message, at.recipe ?? whole, { cause: error });
  const found = syntaxFailure(error) ?? missingModule(error) ?? missingExport(error);
  if (found !== undefined) return new RecipeError(found.reason, found.place ?? at.recipe ?? whole, { cause: error });
  if (at.first === "ours") return error;
  return new RecipeError(`${error.name}: ${firstLine(error.message)}`, at.recipe ?? whole, { cause: error });
}

interface ErrorLike {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
}

interface Explanation {
  readonly reason: string;
  readonly place: RecipePlace | undefined;
}

/** Bun's messages of its own resolver and compiler are no `Error`s. */
function isErrorLike(error: unknown): error is ErrorLike {
  return (
    typeof error === "object" &&
    error !== null &&
    "message" in error &&
    typeof error.message === "string" &&
    "name" in error &&
    typeof error.name === "string"
  );
}

/** Bun: one message, or an AggregateError of several, with a position. Deno: a text with a picture of the line. */
function syntaxFailure(error: ErrorLike): Explanation | undefined {
  const message = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  if (isErrorLike(message) && "position" in message) {
    const { position } = message as { position?: { file?: unknown; line?: unknown; column?: unknown } | null };
    if (typeof position?.file !== "string" || isResolution(message)) return undefined;
    return {
      reason: `syntax error: ${firstLine(message.message)}`,
      place: placeOf(position.file, position.line, position.column),
    };
  }
  const inMessage = /^(?:TypeError: )?(?:SyntaxError: )?(.*)\n[\s\S]*\bat (file:\/\/\S+?):(\d+):(\d+)/.exec(
    plain(error.message),
  );
  if (inMessage === null || inMessage[1]!.startsWith("Module not found")) return undefined;
  const [, reason, url, line, column] = inMessage;
  return { reason: `syntax error: ${reason}`, place: placeOf(url!, Number(line), Number(column)) };
}

function isResolution(message: ErrorLike): boolean {
  return "specifier" in message && typeof message.specifier === "string";
}

function missingModule(error: ErrorLike): Explanation | undefined {
  if (isResolution(error)) {
    const { specifier, referrer } = error as ErrorLike & { specifier: string; referrer?: unknown };
    const importer = typeof referrer === "string" ? referrer : undefined;
    return {
      reason: notFound(specifier),
      place: importer === undefined ? undefined : placeOfText(importer, specifier),
    };
  }
  const message = plain(error.message);
  const unprepared = /^Loading unprepared module: (\S*), imported from: (file:\S*)$/.exec(message);
  if (unprepared !== null) {
    // Deno has made a name of a package into a file's.
    const name = pathOf(unprepared[1]!).replace(/^.*\//, "");
    return { reason: notFound(name), place: placeOfText(unprepared[2]!, name) };
  }
  const module = /^Module not found "([^"]*)"|^(?:Relative import path|Import) "([^"]*)"/.exec(message);
  if (module === null) return undefined;
  const at = /\bat (file:\/\/\S+?):(\d+):(\d+)/.exec(message);
  const wanted = module[1] === undefined ? module[2]! : writtenIn(at?.[1], pathOf(module[1]));
  return { reason: notFound(wanted), place: at === null ? undefined : placeOf(at[1]!, Number(at[2]), Number(at[3])) };
}

/** How a file that imports another one names it. */
function writtenIn(importer: string | undefined, path: string): string {
  if (importer === undefined) return path;
  const name = relative(dirname(pathOf(importer)), path);
  return name.startsWith("../") ? name : `./${name}`;
}

function notFound(specifier: string): string {
  const isFile = specifier.startsWith(".") || specifier.startsWith("/");
  const hint = isFile
    ? "; write its name with the extension, relative to the file that imports it"
    : "; recipes import 'silo', modules of 'node:', and files";
  return `cannot find the module '${specifier}'${hint}`;
}

function missingExport(error: ErrorLike): Explanation | undefined {
  const message = plain(error.message);
  const bun = /^Export named '([^']*)' not found in module '([^']*)'/.exec(message);
  const deno =
    /^The requested module '([^']*)' does not provide an export named '([^']*)'(?: at (file:\S+?):(\d+):(\d+))?/.exec(
      message,
    );
  if (bun === null && deno === null) return undefined;
  const name = bun?.[1] ?? deno?.[2] ?? "";
  const module = bun?.[2] ?? deno?.[1] ?? "";
  const isOurs = /^silo(:|$)/.test(module);
  const hint = isOurs ? nearestName(name, apiNames) : "";
  const reason = `'${isOurs ? "silo" : module}' has no export '${name}'${hint}`;
  if (deno?.[3] !== undefined) return { reason, place: placeOf(deno[3], Number(deno[4]), Number(deno[5])) };
  return { reason, place: module.startsWith("silo:") ? placeOfText(module.slice("silo:".length), name) : undefined };
}

/** The innermost frame that is not of this program, and whether the innermost of all is. */
function stackPlaces(error: ErrorLike): { recipe: RecipePlace | undefined; first: "ours" | "theirs" | "unknown" } {
  let first: "ours" | "theirs" | "unknown" = "unknown";
  for (const line of plain(error.stack ?? "").split("\n")) {
    const frame = /^\s+at (?:.*\()?(?:async )?(file:\/\/\/|\/)(.*?):(\d+):(\d+)\)?\s*$/.exec(line);
    if (frame === null) continue;
    const file = pathOf(frame[1]! + frame[2]!);
    const owner = isOwnFile(file) ? "ours" : "theirs";
    if (first === "unknown") first = owner;
    if (owner === "theirs") return { recipe: placeOf(file, Number(frame[3]), Number(frame[4])), first };
  }
  return { recipe: undefined, first };
}

/** The directory of this program's source, or where its executable shows it. */
const ownDirectory = dirname(dirname(pathOf(import.meta.url)));

function isOwnFile(file: string): boolean {
  return file.startsWith("/$bunfs/") || file.startsWith(`${ownDirectory}/`);
}

function placeOf(file: string, line: unknown, column: unknown): RecipePlace {
  const number = (value: unknown) => (typeof value === "number" && value > 0 ? value : undefined);
  return { file: pathOf(file), line: number(line), column: number(column) };
}

/** Where a file says something first: for failures without position. */
function placeOfText(file: string, text: string): RecipePlace {
  const path = pathOf(file);
  let lines: string[] = [];
  try {
    lines = readFileSync(path, "utf8").split("\n");
  } catch {
    // It was there a moment ago; the line is a courtesy.
  }
  const index = lines.findIndex((line) => line.includes(text));
  if (index < 0) return { file: path, line: undefined, column: undefined };
  return { file: path, line: index + 1, column: lines[index]!.indexOf(text) + 1 };
}

function pathOf(file: string): string {
  if (!file.startsWith("file:")) return file;
  try {
    return fileURLToPath(file);
  } catch {
    return file;
  }
}

function firstLine(text: string): string {
  return plain(text).split("\n", 1)[0]!.trim();
}

/** Without the colours that Deno puts in. */
function plain(text: string): string {
  return text.replace(/\x1b\[[0-9;]*m/g, "");
}
