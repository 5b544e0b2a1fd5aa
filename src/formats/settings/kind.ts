/**
 * The kinds of values that settings have. A kind brings the text of a user into canonical form, the one that Nix prints
 * and daemons are sent, and decodes canonical text to a value.
 */
import { type ByteString, compareBytes, toText } from "../byte-string.ts";
import { words } from "../nix-conf.ts";
import { canonicalPath } from "./canonical-path.ts";
import type { Facts } from "./facts.ts";

export interface Kind<T> {
  /** What a value is, for errors and documentation. */
  readonly expected: string;
  /** Command line: `--NAME` and `--no-NAME`, the same and `--relaxed-NAME`, or `--NAME VALUE`. */
  readonly flag: "switch" | "tri-switch" | "value";
  /** Whether `extra-NAME` adds to a collection or has no meaning. */
  readonly shape: "single" | "collection";
  /** Canonical text, or undefined when `text` is no value of this kind. */
  normalise(text: ByteString, facts: Facts): ByteString | undefined;
  /** The value of canonical text. */
  decode(text: ByteString): T;
  /** Canonical text as JSON; integers keep all digits. */
  printJson(text: ByteString): string;
}

export const boolKind: Kind<boolean> = {
  expected: "true or false",
  flag: "switch",
  shape: "single",
  normalise(text) {
    if (text === "true" || text === "yes" || text === "1") return "true" as ByteString;
    if (text === "false" || text === "no" || text === "0") return "false" as ByteString;
    return undefined;
  },
  decode: (text) => text === "true",
  printJson: (text) => text,
};

export type SandboxMode = boolean | "relaxed";

export const sandboxKind: Kind<SandboxMode> = {
  expected: "true, false or relaxed",
  flag: "tri-switch",
  shape: "single",
  normalise: (text) => (text === "true" || text === "false" || text === "relaxed" ? text : undefined),
  decode: (text) => (text === "relaxed" ? "relaxed" : text === "true"),
  printJson: (text) => (text === "relaxed" ? `"relaxed"` : text),
};

export const uint32Kind = integerKind("an integer from 0 to 4294967295", 0n, 2n ** 32n - 1n);
/** What is above 2^53 decodes to the nearest number; the text, so all that is printed and sent, keeps every digit. */
export const uint64Kind = integerKind("an integer from 0 to 2^64-1", 0n, 2n ** 64n - 1n);
export const int64Kind = integerKind("an integer from -2^63 to 2^63-1", -(2n ** 63n), 2n ** 63n - 1n);

export const jobsKind: Kind<number> = {
  ...uint32Kind,
  expected: `an integer, or "auto" for the number of CPUs`,
  normalise: (text, facts) =>
    text === "auto" ? (String(facts.cpuCount) as ByteString) : uint32Kind.normalise(text, facts),
};

export const textKind: Kind<ByteString> = {
  expected: "text",
  flag: "value",
  shape: "single",
  normalise: (text) => text,
  decode: (text) => text,
  printJson: jsonText,
};

export const pathKind: Kind<ByteString> = {
  ...textKind,
  expected: "an absolute path, or nothing",
  normalise: (text) => (text === "" ? text : canonicalPath(text)),
};

/** Keeps order and repetitions. */
export const listKind: Kind<readonly ByteString[]> = {
  expected: "words separated by blanks",
  flag: "value",
  shape: "collection",
  normalise: (text) => words(text).join(" ") as ByteString,
  decode: words,
  printJson: (text) => `[${words(text).map(jsonText).join(",")}]`,
};

/** Sorted by bytes, each member once. */
export const setKind: Kind<readonly ByteString[]> = {
  ...listKind,
  normalise: (text) => [...new Set(words(text))].sort(compareBytes).join(" ") as ByteString,
};

/** `NAME=VALUE` words, sorted by name; the first of a name counts, and words without `=` are left out, as in Nix. */
export const mapKind: Kind<ReadonlyMap<ByteString, ByteString>> = {
  ...listKind,
  expected: "words of the form NAME=VALUE, separated by blanks",
  normalise(text) {
    const sorted = [...decodeMap(text)].sort(([a], [b]) => compareBytes(a, b));
    return sorted.map(([name, value]) => `${name}=${value}`).join(" ") as ByteString;
  },
  decode: decodeMap,
  printJson: (text) =>
    `{${[...decodeMap(text)].map(([name, value]) => `${jsonText(name)}:${jsonText(value)}`).join(",")}}`,
};

/** Decimal; as in today's Nix, K, M, G or T behind it multiply by a power of 1024. */
function integerKind(expected: string, min: bigint, max: bigint): Kind<number> {
  return {
    expected,
    flag: "value",
    shape: "single",
    normalise(text) {
      const parts = /^([+-]?)0*([0-9]{1,20})([KMGT]?)$/i.exec(text);
      if (parts === null || (parts[1] === "-" && min === 0n)) return undefined;
      const factor = 1024n ** BigInt("KMGT".indexOf(parts[3]!.toUpperCase() || "?") + 1);
      const value = BigInt(parts[1] === "-" ? `-${parts[2]}` : parts[2]!) * factor;
      return value >= min && value <= max ? (String(value) as ByteString) : undefined;
    },
    decode: Number,
    printJson: (text) => text,
  };
}

function decodeMap(text: ByteString): Map<ByteString, ByteString> {
  const map = new Map<ByteString, ByteString>();
  for (const word of words(text)) {
    const equals = word.indexOf("=");
    const name = word.slice(0, equals) as ByteString;
    if (equals >= 0 && !map.has(name)) map.set(name, word.slice(equals + 1) as ByteString);
  }
  return map;
}

function jsonText(text: ByteString): string {
  return JSON.stringify(toText(text));
}
