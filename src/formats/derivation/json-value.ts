/**
 * JSON as bytes, without loss: strings are byte strings (so what is not UTF-8 survives, as in Nix 2.8), numbers keep their digits,
 * objects keep their order and may have any key. JSON.parse keeps none of that, and structured attributes go into hashes.
 *
 * Stricter than RFC 8259 asks: a repeated key and nesting deeper than {@link maxDepth} are refused.
 */
import { SiloError } from "../../error.ts";
import { type ByteString, fromText, toText } from "../byte-string.ts";

export type Json = null | boolean | JsonNumber | ByteString | readonly Json[] | JsonObject;
export type JsonObject = ReadonlyMap<ByteString, Json>;
/** A number as it is written. */
export interface JsonNumber {
  readonly digits: string;
}

/**
 * `pretty` is two spaces an indent. Two ways to escape: Nix 2.8 writes every control character but `\n`, `\r` and `\t` as `\u00..`,
 * today's Nix also has `\b` and `\f`.
 */
export interface JsonStyle {
  readonly layout: "pretty" | "compact";
  readonly escapes: "nix-2.8" | "nlohmann";
}

export const maxDepth = 256;

export class BadJson extends SiloError {
  readonly code = "bad-json";
  constructor(
    /** Offset in bytes. */
    readonly position: number,
    readonly reason: string,
  ) {
    super(`Cannot parse JSON: at byte ${position}: ${reason}`);
  }
}

/** @throws BadJson */
export function parseJson(text: ByteString): Json {
  const parser = new JsonParser(text);
  const value = parser.value(0);
  parser.skipSpace();
  if (parser.offset !== text.length) parser.fail("expected the end of the text");
  return value;
}

export function printJson(value: Json, style: JsonStyle): ByteString {
  return printValue(value, style, "\n") as ByteString;
}

export function isJsonObject(value: Json): value is JsonObject {
  return value instanceof Map;
}

export function isJsonArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function printValue(value: Json, style: JsonStyle, newline: string): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return quoted(value, style.escapes);
  if (isJsonArray(value)) {
    const inner = `${newline}  `;
    return wrapped(
      "[",
      value.map((element) => printValue(element, style, inner)),
      "]",
      style.layout,
      newline,
    );
  }
  if (isJsonObject(value)) {
    const inner = `${newline}  `;
    const colon = style.layout === "pretty" ? ": " : ":";
    const members = Array.from(
      value,
      ([key, member]) => quoted(key, style.escapes) + colon + printValue(member, style, inner),
    );
    return wrapped("{", members, "}", style.layout, newline);
  }
  return value.digits;
}

function wrapped(
  open: string,
  parts: readonly string[],
  close: string,
  layout: JsonStyle["layout"],
  newline: string,
): string {
  if (parts.length === 0) return open + close;
  if (layout === "compact") return open + parts.join(",") + close;
  return `${open}${newline}  ${parts.join(`,${newline}  `)}${newline}${close}`;
}

function quoted(text: string, escapes: JsonStyle["escapes"]): string {
  if (!/[\x00-\x1f"\\]/.test(text)) return `"${text}"`;
  const named = escapes === "nlohmann" ? allEscapes : nix28Escapes;
  return `"${text.replace(/[\x00-\x1f"\\]/g, (byte) => named[byte] ?? `\\u${byte.charCodeAt(0).toString(16).padStart(4, "0")}`)}"`;
}

const nix28Escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};
const allEscapes: Readonly<Record<string, string>> = { ...nix28Escapes, "\b": "\\b", "\f": "\\f" };
const escapedBytes: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
const spacePattern = /[ \t\r\n]*/y;
const plainPattern = /[^"\\\x00-\x1f]*/y;
const literals: ReadonlyArray<readonly [string, Json]> = [
  ["null", null],
  ["true", true],
  ["false", false],
];

class JsonParser {
  offset = 0;

  constructor(private readonly text: string) {}

  value(depth: number): Json {
    if (depth > maxDepth) this.fail(`nested more than ${maxDepth} deep`);
    this.skipSpace();
    const next = this.text[this.offset];
    if (next === '"') return this.string();
    if (next === "[") return this.array(depth);
    if (next === "{") return this.object(depth);
    for (const [word, value] of literals) {
      if (!this.text.startsWith(word, this.offset)) continue;
      this.offset += word.length;
      return value;
    }
    const digits = this.match(numberPattern);
    if (digits === "") this.fail("expected a value");
    return { digits };
  }

  skipSpace(): void {
    this.match(spacePattern);
  }

  fail(reason: string): never {
    const next = this.text[this.offset];
    throw new BadJson(
      this.offset,
      `${reason}, found ${next === undefined ? "the end of the text" : JSON.stringify(next)}`,
    );
  }

  private array(depth: number): Json[] {
    const elements: Json[] = [];
    this.sequence("]", () => elements.push(this.value(depth + 1)));
    return elements;
  }

  private object(depth: number): JsonObject {
    const members = new Map<ByteString, Json>();
    this.sequence("}", () => {
      this.skipSpace();
      if (this.text[this.offset] !== '"') this.fail("expected a key");
      const start = this.offset;
      const key = this.string();
      if (members.has(key)) throw new BadJson(start, `the key ${JSON.stringify(toText(key))} occurs twice`);
      this.skipSpace();
      if (this.text[this.offset] !== ":") this.fail('expected ":"');
      this.offset++;
      members.set(key, this.value(depth + 1));
    });
    return members;
  }

  /** From the opening bracket to behind the closing one. */
  private sequence(close: string, element: () => void): void {
    this.offset++;
    this.skipSpace();
    if (this.text[this.offset] === close) {
      this.offset++;
      return;
    }
    for (;;) {
      element();
      this.skipSpace();
      const next = this.text[this.offset];
      if (next !== "," && next !== close) this.fail(`expected "," or "${close}"`);
      this.offset++;
      if (next === close) return;
    }
  }

  private string(): ByteString {
    this.offset++;
    let value = this.match(plainPattern);
    for (;;) {
      const next = this.text[this.offset];
      if (next === '"') break;
      if (next !== "\\") this.fail("the string does not end, or has a control character");
      value += this.escape();
      value += this.match(plainPattern);
    }
    this.offset++;
    return value as ByteString;
  }

  private escape(): string {
    const kind = this.text[this.offset + 1] ?? "";
    if (kind !== "u") {
      const byte = Object.hasOwn(escapedBytes, kind) ? escapedBytes[kind] : undefined;
      if (byte === undefined) this.fail("unknown escape");
      this.offset += 2;
      return byte;
    }
    const match = this.match(/\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})/y);
    if (match === "") this.fail("expected four hexadecimal digits");
    const units = match
      .split("\\u")
      .slice(1)
      .map((digits) => Number.parseInt(digits, 16));
    if (units.length === 1 && (units[0]! & 0xf800) === 0xd800) {
      this.offset -= match.length;
      this.fail("half of a surrogate pair");
    }
    return fromText(String.fromCharCode(...units));
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.offset;
    const found = pattern.exec(this.text)?.[0] ?? "";
    this.offset += found.length;
    return found;
  }
}
