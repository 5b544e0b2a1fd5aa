/** Trees for property tests, with names and sizes that are likely to be treated wrongly. */
import fc from "fast-check";
import type { ByteString } from "../../src/formats/byte-string.ts";
import type { NarTree } from "../../src/formats/nar/tree.ts";

/** One level of a path. Prefixes of each other, tags of the format, not UTF-8, ordered otherwise as text than as bytes. */
const nastyNames = [
  "a",
  "A",
  "aa",
  "a.",
  "a-",
  "a b",
  "a\n",
  ".a",
  "...",
  "..a",
  "-",
  "--help",
  " ",
  "~",
  "a~nix~case~hack~1",
  "\\",
  '"',
  "'",
  "*",
  "(",
  ")",
  "entry",
  "name",
  "node",
  "nix-archive-1",
  "\x01",
  "\x7f",
  "\x80",
  "\xff",
  "\xc3\xa9",
  "e\xcc\x81",
  "\xed\xa0\x80",
  "\xef\xbf\xbd",
  "\xf0\x9f\x98\x80",
  "con",
  "lost+found",
  "1234567",
  "12345678",
  "123456789",
  "x".repeat(254),
  "x".repeat(255),
]; // prettier-ignore

export const arbitraryName: fc.Arbitrary<ByteString> = fc
  .oneof(
    fc.constantFrom(...nastyNames),
    fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
  )
  .map((name) => name.replaceAll(/[\0/]/g, "_").replace(/^\.\.?$/, "dot") as ByteString);

export const arbitraryTarget: fc.Arbitrary<ByteString> = fc
  .oneof(
    fc.constantFrom(".", "..", "/", "/nix/store", "a", "../../etc/passwd", "t".repeat(4095)),
    fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
  )
  .map((target) => target.replaceAll("\0", "_") as ByteString);

/** Sizes around the padding, and around those at which a reader or writer changes its way. */
export const arbitraryContents: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 20, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(4095, 16383, 16384, 65535, 65536, 65537, 65544, 300_001), fc.nat(255))
      .map(([size, seed]) => Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8) + seed) & 255)),
  },
);

export const arbitraryTree: fc.Arbitrary<NarTree> = fc.letrec<{ tree: NarTree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.record({ kind: fc.constantFrom("regular", "executable"), contents: arbitraryContents }),
    fc.record({ kind: fc.constant("symlink"), target: arbitraryTarget }),
    fc.array(fc.tuple(arbitraryName, tie("tree")), { maxLength: 6 }).map((entries) => directory(entries)),
  ),
})).tree;

export function directory(entries: Iterable<readonly [string, NarTree]>): NarTree {
  return { kind: "directory", entries: new Map(entries as Iterable<readonly [ByteString, NarTree]>) };
}

/** A file `levels` directories deep. */
export function deepTree(levels: number): NarTree {
  let tree: NarTree = { kind: "regular", contents: new Uint8Array(0) };
  for (let i = 0; i < levels; i++) tree = directory([["d", tree]]);
  return tree;
}

/** As plain arrays with entries in the order of a NAR. Comparing nested maps takes exponential time. */
export function flatten(tree: NarTree, path = ""): unknown[] {
  if (tree.kind === "symlink") return [[path, tree.kind, tree.target]];
  if (tree.kind !== "directory") return [[path, tree.kind, Buffer.from(tree.contents).toString("latin1")]];
  const names = [...tree.entries.keys()].sort((a, b) =>
    Buffer.compare(Buffer.from(a, "latin1"), Buffer.from(b, "latin1")),
  );
  return [[path, tree.kind], ...names.flatMap((name) => flatten(tree.entries.get(name)!, `${path}/${name}`))];
}
