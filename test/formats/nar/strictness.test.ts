import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { UnexpectedEnd } from "../../../src/error.ts";
import { runSync } from "../../../src/formats/codec.ts";
import { BadNar } from "../../../src/formats/nar/format.ts";
import { readNar } from "../../../src/formats/nar/read-nar.ts";
import { decodeNar, encodeNar, TreeBuilder } from "../../../src/formats/nar/tree.ts";
import { WireWriter } from "../../../src/formats/wire.ts";
import { deepTree, flatten } from "../../support/arbitrary-tree.ts";
import { chunkedReader } from "../../support/chunked-reader.ts";

type Part = string | Uint8Array | Part[];

function nar(...parts: Part[]): Uint8Array {
  const writer = new WireWriter().string("nix-archive-1");
  const write = (part: Part) => {
    if (typeof part === "string") writer.string(part);
    else if (part instanceof Uint8Array) writer.raw(part);
    else part.forEach(write);
  };
  parts.forEach(write);
  return writer.take();
}

const raw = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
/** A string's length, with nothing behind it. */
const length = (size: bigint) => new WireWriter().u64(size).take();
const file: Part[] = ["(", "type", "regular", "contents", "", ")"];
const entry = (name: string, node: Part[] = file): Part[] => ["entry", "(", "name", name, "node", node, ")"];
const directory = (...entries: Part[]): Part[] => ["(", "type", "directory", entries, ")"];
const link = (target: string): Part[] => ["(", "type", "symlink", "target", target, ")"];
const afterRootType = 56;
const afterDirectory = 80;
/** Where the data of the first entry's name is. */
const firstName = 136;
/** Where the data of the second entry's name is, the first being an empty regular file with a short name. */
const secondName = 320;
/** Where a body ends to which an empty regular file is reduced. */
const afterEmptyFile = 96;

/** What, the input, the offset and the reason of the error. */
const rows: [string, Uint8Array, number, string][] = [
  [
    "wrong magic",
    new WireWriter().string("nix-archive-2").take(),
    0,
    'expected "nix-archive-1", found "nix-archive-2"',
  ],
  ["shorter magic", new WireWriter().string("nix").take(), 0, 'expected "nix-archive-1", found "nix"'],
  [
    "an ELF file for magic",
    raw("7f454c4602010100 0000000000000000"),
    0,
    'expected "nix-archive-1", found a tag of 282584257676671 bytes, at most 32 fit',
  ],

  ["padding of the magic", nar(...file).fill(1, 21, 22), 21, "padding is not zero"],
  ["padding of a tag", nar(...file).fill(1, 39, 40), 39, "padding is not zero"],
  [
    "padding of contents",
    nar("(", "type", "regular", "contents", "hello", ")").fill(1, 102, 103),
    102,
    "padding is not zero",
  ],
  [
    "padding of large contents",
    nar("(", "type", "regular", "contents", "x".repeat(100_001), ")").fill(1, 96 + 100_001, 96 + 100_002),
    96 + 100_001,
    "padding is not zero",
  ],
  ["padding of a target", nar(...link("run")).fill(1, 99, 100), 99, "padding is not zero"],
  ["padding of a name", nar(...directory(entry("a"))).fill(1, 143, 144), 143, "padding is not zero"],

  ["empty name", nar(...directory(entry(""))), 128, "entry name: it is empty"],
  ["name .", nar(...directory(entry("."))), firstName, 'entry name ".": it is "." or ".."'],
  ["name ..", nar(...directory(entry(".."))), firstName, 'entry name "..": it is "." or ".."'],
  ["name with /", nar(...directory(entry("a/b"))), firstName, 'entry name "a/b": it contains a slash'],
  ["name with NUL", nar(...directory(entry("a\0b"))), firstName, 'entry name "a\\u0000b": it contains a NUL byte'],
  [
    "name > 255 bytes",
    nar(...directory(entry("n".repeat(256)))),
    128,
    "entry name: it is 256 bytes long, at most 255 are allowed",
  ],
  [
    "name of 2^64-1 bytes",
    nar("(", "type", "directory", "entry", "(", "name", raw("ffffffffffffffff")),
    128,
    "entry name: it is 18446744073709551615 bytes long, at most 255 are allowed",
  ],

  ["unsorted", nar(...directory(entry("b"), entry("a"))), secondName, 'entry "a" is not in order: it comes after "b"'],
  [
    "unsorted as bytes",
    nar(...directory(entry("a"), entry("B"))),
    secondName,
    'entry "B" is not in order: it comes after "a"',
  ],
  [
    "unsorted prefix",
    nar(...directory(entry("ab"), entry("a"))),
    secondName,
    'entry "a" is not in order: it comes after "ab"',
  ],
  ["duplicate", nar(...directory(entry("a"), entry("a"))), secondName, 'entry "a" occurs twice'],
  [
    "link, then directory",
    nar(...directory(entry("a", link("/")), entry("a", directory()))),
    secondName + 8,
    'entry "a" occurs twice',
  ],

  ["empty target", nar(...link("")), 88, 'target of link "": it is empty'],
  ["target with NUL", nar(...link("a\0")), 96, 'target of link "": it contains a NUL byte'],
  [
    "target > 4095 bytes",
    nar(...link("t".repeat(4096))),
    88,
    'target of link "": it is 4096 bytes long, at most 4095 are allowed',
  ],

  [
    "executable not empty",
    nar("(", "type", "regular", "executable", "x", "contents", "", ")"),
    96,
    'after "executable", expected "", found "x"',
  ],
  [
    "executable after contents",
    nar("(", "type", "regular", "contents", "", "executable", "", ")"),
    afterEmptyFile,
    'expected ")", found "executab"…',
  ],
  ["contents missing", nar("(", "type", "regular", ")"), 72, 'expected "contents" or "executable", found ")"'],
  [
    "contents missing after executable",
    nar("(", "type", "regular", "executable", "", ")"),
    104,
    'after "executable", expected "contents", found ")"',
  ],
  [
    "contents repeated",
    nar("(", "type", "regular", "contents", "", "contents", "", ")"),
    afterEmptyFile,
    'expected ")", found "contents"',
  ],

  ["no type", nar("(", ")"), 40, 'expected "type", found ")"'],
  ["no target", nar("(", "type", "symlink", ")"), 72, 'expected "target", found ")"'],
  ["entry without node", nar(...directory(["entry", "(", "name", "a", ")"])), 144, 'expected "node", found ")"'],
  ["empty entry", nar(...directory(["entry", "(", ")"])), 112, 'expected "name", found ")"'],
  [
    "node before name",
    nar(...directory(["entry", "(", "node", file, "name", "a", ")"])),
    112,
    'expected "name", found "node"',
  ],

  [
    "repeated type",
    nar("(", "type", "type", "regular", ")"),
    afterRootType,
    'node type: expected "regular", "directory" or "symlink", found "type"',
  ],
  [
    "two types",
    nar("(", "type", "regular", "type", "directory", ")"),
    72,
    'expected "contents" or "executable", found "type"',
  ],
  [
    "unknown type",
    nar("(", "type", "fifo", ")"),
    afterRootType,
    'node type: expected "regular", "directory" or "symlink", found "fifo"',
  ],
  [
    "unknown field of a directory",
    nar("(", "type", "directory", "mode", "755", ")"),
    afterDirectory,
    'expected "entry" or ")", found "mode"',
  ],
  [
    "unknown field of an entry",
    nar(...directory(["entry", "(", "name", "a", "mode", ")"])),
    144,
    'expected "node", found "mode"',
  ],
  ["nothing closed", nar("(", "type", "regular", "contents", "", "("), afterEmptyFile, 'expected ")", found "("'],
  [
    "entry not closed",
    nar(...directory(["entry", "(", "name", "a", "node", file, "entry"])),
    248,
    'expected ")", found "entry"',
  ],

  [
    "long tag",
    nar("(", "type", "d".repeat(33)),
    afterRootType,
    'node type: expected "regular", "directory" or "symlink", found a tag of 33 bytes, at most 32 fit',
  ],
  [
    "tag of 2^40 bytes",
    nar("(", length(1n << 40n)),
    40,
    'expected "type", found a tag of 1099511627776 bytes, at most 32 fit',
  ],
  [
    "file of 2^63 bytes",
    nar("(", "type", "regular", "contents", length(1n << 63n)),
    88,
    'file "" claims to have 9223372036854775808 bytes',
  ],
];

const read = (bytes: Uint8Array) => runSync(readNar(new TreeBuilder()), chunkedReader(bytes));

describe("what is not canonical is refused", () => {
  for (const [what, bytes, offset, reason] of rows) {
    test(what, () => {
      // Something follows, as on a connection: else the end of the input may be what is noticed.
      const followed = Buffer.concat([bytes, Buffer.alloc(1024)]);
      assert.throws(
        () => read(followed),
        (error) => {
          assert(error instanceof BadNar, String(error));
          assert.deepEqual({ offset: error.offset, reason: error.reason }, { offset, reason });
          assert.equal(error.message, `Cannot read NAR: at byte ${offset}: ${reason}`);
          return true;
        },
      );
      assert.throws(
        () => read(bytes),
        (error) => error instanceof BadNar || error instanceof UnexpectedEnd,
      );
    });
  }
});

test("a tag that runs out of what is at hand is quoted as far as it is known", () => {
  const bytes = Buffer.concat([nar("(", "type", "symlink", "t".repeat(32)), Buffer.alloc(1024)]);
  assert.throws(() => read(bytes), { offset: 72, reason: 'expected "target", found "tttttttttttttttt"…' });
});

test("nodes lie at most 63 directories deep", () => {
  const deepest = encodeNar(deepTree(63));
  assert.deepEqual(flatten(decodeNar(deepest).tree), flatten(deepTree(63)));
  assert.throws(() => encodeNar(deepTree(64)), { reason: '"d": directories are nested 64 deep or more' });

  let node: Part[] = file;
  for (let i = 0; i < 64; i++) node = directory(entry("d", node));
  // Of each directory that is open: ( type directory entry ( name d node.
  const offset = 24 + 64 * (16 + 16 + 24 + 16 + 16 + 16 + 16 + 16);
  assert.throws(() => read(nar(...node)), { offset, reason: "directories are nested 64 deep or more" });
});

test("every end that is too early is noticed", () => {
  const whole = encodeNar(
    decodeNar(nar(...directory(entry("a"), entry("b", link("a")), entry("c", directory())))).tree,
  );
  for (let size = 0; size < whole.length; size++) assert.throws(() => read(whole.subarray(0, size)), UnexpectedEnd);
});

test("what follows a NAR stays", () => {
  const bytes = nar(...directory(entry("a")));
  const reader = chunkedReader(Buffer.concat([bytes, Buffer.from("rest")]));
  runSync(readNar(new TreeBuilder()), reader);
  assert.equal(reader.offset, bytes.length);
});
