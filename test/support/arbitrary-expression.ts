/** Generator of Nix expressions: a list of derivations of every kind that refer to each other and to text files. */
import fc from "fast-check";
import { type ByteString, compareBytes } from "../../src/formats/byte-string.ts";
import { type HashAlgo, printBareHash } from "../../src/formats/hash.ts";
import {
  arbitraryByteString,
  arbitraryHash,
  arbitraryHashAlgo,
  arbitraryName,
  arbitraryUtf8,
} from "./arbitrary-store-path.ts";

type Kind =
  | { readonly kind: "input-addressed" }
  | { readonly kind: "fixed"; readonly mode: Mode; readonly algo: HashAlgo; readonly hash: string }
  | { readonly kind: "floating" | "impure"; readonly mode: Mode; readonly algo: HashAlgo };
type Mode = "flat" | "recursive";

/** A string with antiquotations: text, an output of an earlier derivation, or a text file. Numbers choose modulo what there is. */
type Piece =
  | { readonly text: ByteString }
  | { readonly derivation: number; readonly output: number }
  | { readonly file: ByteString };

interface Spec {
  readonly name: string;
  readonly kind: Kind;
  readonly outputs: readonly string[];
  readonly args: readonly (readonly Piece[])[];
  readonly env: ReadonlyArray<readonly [key: ByteString, value: readonly Piece[]]>;
  /** Structured attributes, when there are any. */
  readonly attributes: string | undefined;
}

/** Nix has no string with a NUL. */
const nixBytes = arbitraryByteString.map((text) => text.replaceAll("\0", "") as ByteString);

const utf8 = arbitraryUtf8.map((text) => text.replaceAll("\0", "") as ByteString);

const arbitraryPiece: fc.Arbitrary<Piece> = fc.oneof(
  nixBytes.map((text): Piece => ({ text })),
  fc.record({ derivation: fc.nat(1000), output: fc.nat(1000) }),
  nixBytes.map((file): Piece => ({ file })),
);

const mode = fc.constantFrom<Mode>("flat", "recursive");
const arbitraryKind: fc.Arbitrary<Kind> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Kind>({ kind: "input-addressed" }) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(mode, arbitraryHash, fc.constantFrom("base16", "base32", "base64"))
      .map(([given, hash, encoding]): Kind => {
        return { kind: "fixed", mode: given, algo: hash.algo, hash: printBareHash(hash, encoding as "base16") };
      }),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom("floating" as const, "impure" as const), mode, arbitraryHashAlgo)
      .map(([kind, given, algo]): Kind => {
        return { kind, mode: given, algo };
      }),
  },
);

const outputNames = ["out", "dev", "lib", "a-b", "x.y", "_1"];

const arbitrarySpec: fc.Arbitrary<Spec> = fc.record({
  // Nix refuses a derivation named like a derivation's file.
  name: arbitraryName.filter((name) => !name.endsWith(".drv") && name.length < 180),
  kind: arbitraryKind,
  outputs: fc.shuffledSubarray(outputNames, { minLength: 1, maxLength: 3 }),
  args: fc.array(fc.array(arbitraryPiece, { maxLength: 3 }), { maxLength: 3 }),
  env: fc.uniqueArray(
    fc.tuple(
      nixBytes.map((key) => `k${key}` as ByteString),
      fc.array(arbitraryPiece, { maxLength: 3 }),
    ),
    {
      maxLength: 4,
      selector: ([key]) => key,
    },
  ),
  attributes: fc.option(arbitraryAttributes(), { nil: undefined, freq: 4 }),
});

/** The expression, as bytes: a list of derivations. */
export const arbitraryExpression: fc.Arbitrary<ByteString> = fc
  .array(arbitrarySpec, { minLength: 1, maxLength: 30 })
  .map((specs) => {
    const bindings = specs.map((spec, i) => `  d${i} = ${printSpec(spec, specs.slice(0, i))};\n`);
    return `let\n${bindings.join("")}in [ ${specs.map((_, i) => `d${i}`).join(" ")} ]\n` as ByteString;
  });

function printSpec(spec: Spec, earlier: readonly Spec[]): string {
  const kind = spec.kind;
  const attributes = [
    `name = ${quoted(spec.name)};`,
    `system = "x86_64-linux";`,
    `builder = "/bin/sh";`,
    `args = [ ${spec.args.map((arg) => printPieces(arg, earlier)).join(" ")} ];`,
    ...spec.env.map(([key, value]) => `${quoted(key)} = ${printPieces(value, earlier)};`),
  ];
  if (kind.kind !== "fixed" && kind.kind !== "impure")
    attributes.push(`outputs = [ ${spec.outputs.map(quoted).join(" ")} ];`);
  if (kind.kind !== "input-addressed")
    attributes.push(`outputHashMode = "${kind.mode}"; outputHashAlgo = "${kind.algo}";`);
  if (kind.kind === "fixed") attributes.push(`outputHash = "${kind.hash}";`);
  if (kind.kind === "floating") attributes.push("__contentAddressed = true;");
  if (kind.kind === "impure") attributes.push("__impure = true;");
  if (spec.attributes !== undefined) attributes.push("__structuredAttrs = true;", `nested = ${spec.attributes};`);
  return `derivation { ${attributes.join(" ")} }`;
}

function printPieces(pieces: readonly Piece[], earlier: readonly Spec[]): string {
  const printed = pieces.map((piece) => {
    if ("text" in piece) return quoted(piece.text);
    if ("file" in piece) return `"\${builtins.toFile "f" ${quoted(piece.file)}}"`;
    if (earlier.length === 0) return '""';
    const index = piece.derivation % earlier.length;
    const { outputs, kind } = earlier[index]!;
    const single = kind.kind === "fixed" || kind.kind === "impure";
    return `"\${d${index}.${quoted(single ? "out" : outputs[piece.output % outputs.length]!)}}"`;
  });
  return printed.length === 0 ? '""' : `(${printed.join(" + ")})`;
}

function quoted(text: string): string {
  const escapes: Readonly<Record<string, string>> = {
    '"': '\\"',
    "\\": "\\\\",
    $: "\\$",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
  };
  return `"${text.replace(/["\\$\n\r\t]/g, (byte) => escapes[byte]!)}"`;
}

/** An attribute set of JSON-like values. Only UTF-8, since it becomes JSON. */
function arbitraryAttributes(): fc.Arbitrary<string> {
  const { set } = fc.letrec<{ set: string; value: string }>((tie) => ({
    set: fc.uniqueArray(fc.tuple(utf8, tie("value")), { maxLength: 3, selector: ([key]) => key }).map(
      (members) =>
        `{ ${[...members]
          .sort((a, b) => compareBytes(a[0], b[0]))
          .map(([key, value]) => `${quoted(key)} = ${value};`)
          .join(" ")} }`,
    ),
    value: fc.oneof(
      { maxDepth: 3 },
      utf8.map(quoted),
      fc.constantFrom("null", "true", "false", "0", "(-1)", "9223372036854775807", "1.5", "0.1", "1.0e20"),
      tie("set"),
      fc.array(tie("value"), { maxLength: 3 }).map((list) => `[ ${list.join(" ")} ]`),
    ),
  }));
  return set;
}
