/**
 * Narinfo: what a binary cache says of a store path, `<hash part>.narinfo`, MIME type text/x-nix-narinfo.
 *
 *     narinfo = {key ": " value LF}
 *
 * In the order in which they are written, `!` for those that must be there, `*` for one that may be repeated:
 *
 *     StorePath!   full path                    NarSize      bytes, not 0
 *     URL!         relative to the cache        References   base names, sorted, a space between
 *     Compression  none, xz, bzip2, zstd …      Deriver      base name, or `unknown-deriver` for none
 *     FileHash     of the compressed file       System       of the derivation
 *     FileSize     of the compressed file       Sig*         signature.ts, sorted
 *     NarHash!     SHA-256                      CA           content address
 *
 * Nix 1 signs with a last line `Signature: 1;<key name>;<base64>` (rsa-signature.ts), over all that precedes it. Lines with
 * other keys are kept. What was read is printed in the form above; where that is not the form it came in, a quirk says
 * so. See the Nix manual, "narinfo".
 */
import { SiloError } from "../error.ts";
import { type ByteString, compareBytes, toText } from "./byte-string.ts";
import { type Hash, parseHash, printHash } from "./hash.ts";
import { parseFullStorePath, parseStorePath, printStorePath, type StoreDir, type StorePath } from "./store-path.ts";

export interface Narinfo {
  readonly path: StorePath;
  readonly url: ByteString;
  /** Undefined when not said, which means bzip2. */
  readonly compression: ByteString | undefined;
  readonly fileHash: Hash | undefined;
  /** In bytes. */
  readonly fileSize: number | undefined;
  readonly narHash: Hash;
  /** In bytes. Nix 2 requires it. */
  readonly narSize: number | undefined;
  /** Sorted, without duplicates. */
  readonly references: readonly StorePath[];
  readonly deriver: StorePath | undefined;
  readonly system: ByteString | undefined;
  /** As signature.ts prints them, not verified; sorted, without duplicates. */
  readonly signatures: readonly ByteString[];
  /** As text: not every form of it is one that we know. */
  readonly contentAddress: ByteString | undefined;
  readonly otherLines: readonly { readonly key: ByteString; readonly value: ByteString }[];
  readonly rsaSignature: RsaSignature | undefined;
}

export interface RsaSignature {
  readonly keyName: ByteString;
  /** Base-64, not verified. */
  readonly signature: ByteString;
  /** What it covers: the text in front of its line. */
  readonly signedText: ByteString;
}

/**
 * Why printing what was read gives another text: lines in another order; a hash not in base-32; references or signatures
 * unsorted or repeated; no References line; a value that is empty where its line should be missing; no deriver, in words.
 */
export type NarinfoQuirk = "order" | "hash-encoding" | "unsorted" | "no-references" | "empty-value" | "unknown-deriver";

export class BadNarinfo extends SiloError {
  readonly code = "bad-narinfo";
  constructor(
    /** Where the text is from, such as its URL. */
    readonly source: string,
    /** From 1; undefined when a line is missing. */
    readonly line: number | undefined,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`Cannot parse narinfo '${source}': ${line === undefined ? "" : `line ${line}: `}${reason}`, options);
  }
}

const keys = [
  "StorePath",
  "URL",
  "Compression",
  "FileHash",
  "FileSize",
  "NarHash",
  "NarSize",
  "References",
  "Deriver",
  "System",
  "Sig",
  "CA",
] as const;
type Key = (typeof keys)[number] | "Signature";

interface Line {
  readonly number: number;
  readonly key: ByteString;
  readonly value: ByteString;
  /** Where it begins in the text. */
  readonly start: number;
}

/** @throws BadNarinfo */
export function parseNarinfo(
  text: ByteString,
  dir: StoreDir,
  source: string,
): { narinfo: Narinfo; quirks: ReadonlySet<NarinfoQuirk> } {
  const quirks = new Set<NarinfoQuirk>();
  const byKey = new Map<Key, Line>();
  const signatures: ByteString[] = [];
  const otherLines: Line[] = [];
  let rank = 0;
  for (const line of splitLines(text, source)) {
    if (byKey.has("Signature"))
      throw new BadNarinfo(source, line.number, "a line follows the Signature, which ends a narinfo");
    const key = knownKey(line.key);
    const lineRank = key === undefined ? keys.length : key === "Signature" ? keys.length + 1 : keys.indexOf(key);
    if (lineRank < rank) quirks.add("order");
    rank = Math.max(rank, lineRank);
    if (key === undefined) otherLines.push(line);
    else if (key === "Sig") signatures.push(line.value);
    else if (byKey.has(key)) throw new BadNarinfo(source, line.number, `a second ${key}`);
    else byKey.set(key, line);
  }

  /** The parsed value of a line, an error in it being the line's. */
  function field<T>(key: Key, parse: (value: ByteString) => T): T | undefined {
    const line = byKey.get(key);
    if (line === undefined) return undefined;
    try {
      return parse(line.value);
    } catch (cause) {
      if (!(cause instanceof SiloError) || cause instanceof BadNarinfo) throw cause;
      throw new BadNarinfo(source, line.number, `${key}: ${cause.message}`, { cause });
    }
  }
  function required<T>(key: Key, value: T | undefined): T {
    if (value === undefined) throw new BadNarinfo(source, undefined, `there is no ${key}`);
    return value;
  }
  function fault(key: Key, reason: string): never {
    throw new BadNarinfo(source, byKey.get(key)?.number, `${key}: ${reason}`);
  }
  function optionalText(key: Key): ByteString | undefined {
    const value = byKey.get(key)?.value;
    if (value !== "") return value;
    quirks.add("empty-value");
    return undefined;
  }
  function hash(key: Key, algo?: "sha256"): Hash | undefined {
    return field(key, (value) => {
      const hash = parseHash(value, algo);
      if (printHash(hash, "base32") !== value) quirks.add("hash-encoding");
      return hash;
    });
  }
  function size(key: Key): number | undefined {
    return field(key, (value) => {
      const size = Number(value);
      if (!/^(0|[1-9][0-9]*)$/.test(value) || !Number.isSafeInteger(size)) fault(key, "not a decimal number of bytes");
      return size;
    });
  }
  function sorted<T extends string>(items: readonly T[]): readonly T[] {
    const unique = [...new Set(items)].sort(compareBytes);
    if (unique.length < items.length || unique.some((item, i) => item !== items[i])) quirks.add("unsorted");
    return unique;
  }

  const deriver = optionalText("Deriver") === undefined ? undefined : field("Deriver", parseDeriver);
  if (deriver === "unknown") quirks.add("unknown-deriver");
  if (!byKey.has("References")) quirks.add("no-references");
  const narinfo: Narinfo = {
    path: required(
      "StorePath",
      field("StorePath", (value) => parseFullStorePath(dir, value)),
    ),
    url: required(
      "URL",
      field("URL", (value) => (value === "" ? fault("URL", "it is empty") : value)),
    ),
    compression: optionalText("Compression"),
    fileHash: hash("FileHash"),
    fileSize: size("FileSize"),
    narHash: required("NarHash", hash("NarHash", "sha256")),
    narSize: size("NarSize"),
    references: sorted(field("References", parseReferences) ?? []),
    deriver: deriver === "unknown" ? undefined : deriver,
    system: optionalText("System"),
    signatures: sorted(signatures),
    contentAddress: optionalText("CA"),
    otherLines: otherLines.map(({ key, value }) => ({ key, value })),
    rsaSignature: field("Signature", (value) => {
      const match = /^1;([^;]+);([A-Za-z0-9+/]+={0,2})$/.exec(value);
      if (match === null) fault("Signature", "not in the form 1;<key name>;<base64>");
      const signedText = text.slice(0, byKey.get("Signature")!.start) as ByteString;
      return { keyName: match[1] as ByteString, signature: match[2] as ByteString, signedText };
    }),
  };
  if (narinfo.narSize === 0) fault("NarSize", "it is 0");
  return { narinfo, quirks };
}

/** The form that Nix 2 writes. A signature of Nix 1 holds for the text that it came with, and comes last. */
export function printNarinfo(info: Narinfo, dir: StoreDir): ByteString {
  let text = "";
  const line = (key: string, value: string | number | undefined) => {
    if (value !== undefined) text += `${key}: ${value}\n`;
  };
  line("StorePath", printStorePath(dir, info.path));
  line("URL", info.url);
  line("Compression", info.compression);
  line("FileHash", info.fileHash && printHash(info.fileHash, "base32"));
  line("FileSize", info.fileSize);
  line("NarHash", printHash(info.narHash, "base32"));
  line("NarSize", info.narSize);
  line("References", info.references.join(" "));
  line("Deriver", info.deriver);
  line("System", info.system);
  for (const signature of info.signatures) line("Sig", signature);
  line("CA", info.contentAddress);
  for (const { key, value } of info.otherLines) line(key, value);
  if (info.rsaSignature !== undefined)
    line("Signature", `1;${info.rsaSignature.keyName};${info.rsaSignature.signature}`);
  return text as ByteString;
}

function* splitLines(text: string, source: string): Generator<Line> {
  for (let start = 0, number = 1; start < text.length; number++) {
    const end = text.indexOf("\n", start);
    if (end < 0) throw new BadNarinfo(source, number, "it does not end in a line feed");
    const line = text.slice(start, end);
    const colon = line.indexOf(": ");
    if (colon <= 0)
      throw new BadNarinfo(source, number, `expected "<key>: <value>", found ${JSON.stringify(toText(line))}`);
    const key = line.slice(0, colon) as ByteString;
    yield { number, key, value: line.slice(colon + 2) as ByteString, start };
    start = end + 1;
  }
}

function knownKey(key: string): Key | undefined {
  return key === "Signature" ? key : keys.find((known) => known === key);
}

function parseDeriver(value: ByteString): StorePath | "unknown" {
  return value === "unknown-deriver" ? "unknown" : parseStorePath(value);
}

function parseReferences(value: ByteString): StorePath[] {
  return value === "" ? [] : value.split(" ").map(parseStorePath);
}
