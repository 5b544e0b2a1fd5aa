/**
 * Unpacking what tar, zip, gzip, bzip2, xz and zstd make, and refusing what nobody should. Trees must come back the same; archives that
 * try to leave their directory, or are damaged, must fail with an error of ours and leave nothing outside.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { SiloError } from "../../src/error.ts";
import type { ByteString } from "../../src/formats/byte-string.ts";
import { encodeNar, type NarTree, TreeBuilder, visitTree } from "../../src/formats/nar/tree.ts";
import { restoreTree } from "../../src/store/tree/restore.ts";
import { type TopLevel, unpackTree } from "../../src/store/tree/unpack-tree.ts";
import { walkTree } from "../../src/store/tree/walk.ts";
import { arbitraryTree } from "../support/arbitrary-tree.ts";
import { skipWithout } from "../support/stock-nix.ts";
import { paxRecord, type TarEntry, tarArchive } from "../support/tar-writer.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "silo-unpack-")));
after(() => {
  execFileSync("chmod", ["-R", "u+w", root]);
  rmSync(root, { recursive: true, force: true });
});

const noZip = skipWithout("zip", "-v");

let count = 0;
const fresh = () => join(root, String(count++));

const file = (contents: string): NarTree => ({ kind: "regular", contents: new Uint8Array(Buffer.from(contents)) });
const directory = (entries: Readonly<Record<string, NarTree>>): NarTree => ({
  kind: "directory",
  entries: new Map(Object.entries(entries).sort() as [ByteString, NarTree][]),
});
const symlink = (target: string): NarTree => ({ kind: "symlink", target: target as ByteString });

const sample = directory({
  README: file("read me\n"),
  empty: file(""),
  "empty-directory": directory({}),
  large: file(Array.from({ length: 20_000 }, (_, i) => `line ${i * i}\n`).join("")),
  "run.sh": { kind: "executable", contents: new Uint8Array(Buffer.from("#!/bin/sh\n")) },
  link: symlink("README"),
  dangling: symlink("/nowhere/../x"),
  deep: directory({ er: directory({ ["n".repeat(120)]: directory({ ["m".repeat(180)]: file("far down") }) }) }),
  "gr\xc3\xbc\xc3\x9fe \xe2\x98\x83": file("text"),
  "a b\\c\"d'": file("odd"),
});

function pack(tree: NarTree, ...command: string[]): string {
  const place = fresh();
  mkdirSync(place);
  visitTree(tree, restoreTree(join(place, "tree"), "plain"));
  const archive = join(place, "archive");
  // The name of the tree is the single directory; the command says where the archive goes.
  execFileSync(
    command[0]!,
    command.slice(1).map((word) => (word === "ARCHIVE" ? archive : word)),
    { cwd: place, stdio: "pipe" },
  );
  return archive;
}

async function unpack(archive: string, topLevel: TopLevel = "strip-single-directory"): Promise<NarTree> {
  const destination = fresh();
  await unpackTree(archive, destination, topLevel);
  const builder = new TreeBuilder();
  walkTree(destination, builder);
  return builder.finish();
}

describe("what other programs make", () => {
  for (const format of ["gnu", "oldgnu", "pax", "posix", "ustar"]) {
    test(`tar --format=${format}`, async () => {
      // ustar has no room for long names.
      const tree = format === "ustar" ? directory({ a: file("x"), d: directory({ l: symlink("../a") }) }) : sample;
      assert.deepEqual(await unpack(pack(tree, "tar", `--format=${format}`, "-cf", "ARCHIVE", "tree")), tree);
    });
  }
  test("tar of version 7", async () => {
    const tree = directory({ a: file("x"), d: directory({ e: directory({}), l: symlink("../a") }) });
    assert.deepEqual(await unpack(pack(tree, "tar", "--format=v7", "-cf", "ARCHIVE", "tree")), tree);
  });
  for (const [option, name] of [
    ["-z", "gzip"],
    ["-j", "bzip2"],
    ["-J", "xz"],
    ["--zstd", "zstd"],
  ] as const) {
    test(`tar with ${name}`, { skip: skipWithout(name, "--version") }, async () => {
      assert.deepEqual(await unpack(pack(sample, "tar", option, "-cf", "ARCHIVE", "tree")), sample);
    });
  }
  test("zip", { skip: noZip }, async () =>
    assert.deepEqual(await unpack(pack(sample, "sh", "-c", "zip -qry a.zip tree && mv a.zip archive")), sample),
  );
  test("zip from a pipe, with sizes behind the files", { skip: noZip }, async () => {
    const tree = directory({ a: file("text, text, text, text"), d: directory({ e: file("") }) }); // zip cannot put links there
    assert.deepEqual(await unpack(pack(tree, "sh", "-c", "zip -qr - tree | cat >archive")), tree);
  });
  test("zip, stored", { skip: noZip }, async () => {
    assert.deepEqual(await unpack(pack(sample, "sh", "-c", "zip -qry0 a.zip tree && mv a.zip archive")), sample);
  });
  test("zip with 64-bit sizes", { skip: noZip }, async () => {
    assert.deepEqual(await unpack(pack(sample, "sh", "-c", "zip -qry -fz - tree >archive")), sample);
  });
  test("several things at the top stay as they are, as does a single file", async () => {
    const two = directory({ a: file("1"), b: directory({ c: file("2") }) });
    assert.deepEqual(await unpack(pack(two, "tar", "-C", "tree", "-cf", "ARCHIVE", ".")), two);
    const one = directory({ a: file("1") });
    assert.deepEqual(await unpack(pack(one, "tar", "-C", "tree", "-cf", "ARCHIVE", "a")), one);
    assert.deepEqual(await unpack(pack(two, "tar", "-cf", "ARCHIVE", "tree"), "keep"), directory({ tree: two }));
  });
  test("hard links, and files that are there twice", async () => {
    const place = fresh();
    mkdirSync(join(place, "tree"), { recursive: true });
    writeFileSync(join(place, "tree/a"), "one");
    linkSync(join(place, "tree/a"), join(place, "tree/b"));
    execFileSync("tar", ["-cf", "archive", "tree"], { cwd: place });
    writeFileSync(join(place, "tree/a"), "two");
    rmSync(join(place, "tree/b"));
    execFileSync("tar", ["-rf", "archive", "tree/a"], { cwd: place });
    assert.deepEqual(await unpack(join(place, "archive")), directory({ a: file("two"), b: file("one") }));
  });
  test("any tree", async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryTree, fc.constantFrom("gnu", "pax"), async (tree, format) => {
        const archive = pack(tree, "tar", `--format=${format}`, "-cf", "ARCHIVE", "tree");
        assert.ok(Buffer.from(encodeNar(directory({ tree }))).equals(encodeNar(await unpack(archive, "keep"))));
      }),
      { numRuns: 25 },
    );
  });
});

async function unpackEntries(entries: readonly TarEntry[], end?: "without-end"): Promise<NarTree> {
  const archive = fresh();
  writeFileSync(archive, tarArchive(entries, end));
  return unpack(archive, "keep");
}

describe("by hand", () => {
  test("parents that were left out, names in pax headers, old directories, no end", async () => {
    const entries: TarEntry[] = [
      { name: "a/b/c", contents: "deep" },
      { name: "x", type: "x", contents: paxRecord("path", "pax/\xc3\xa4") + paxRecord("mtime", "1.5") },
      { name: "short", contents: "named by pax" },
      { name: "old/", type: "0" },
      { name: "././@LongLink", type: "L", contents: `${"l".repeat(150)}\0` },
      { name: "cut", type: "2", linkname: "target" },
      { name: "g", type: "g", contents: paxRecord("comment", "x") },
      { name: "./last", contents: "last" },
    ];
    const expected = directory({
      a: directory({ b: directory({ c: file("deep") }) }),
      pax: directory({ "\xc3\xa4": file("named by pax") }),
      old: directory({}),
      ["l".repeat(150)]: symlink("target"),
      last: file("last"),
    });
    assert.deepEqual(await unpackEntries(entries), expected);
    assert.deepEqual(await unpackEntries(entries, "without-end"), expected);
  });

  const refused: Readonly<Record<string, readonly [entries: readonly TarEntry[], message: RegExp]>> = {
    "a name with ..": [
      [{ name: "a/../../evil", contents: "x" }],
      /the name "a\/\.\.\/\.\.\/evil" leads out of the tree$/,
    ],
    "an absolute name": [[{ name: "/evil", contents: "x" }], /the name "\/evil" is absolute$/],
    "a name in a pax header": [
      [
        { name: "p", type: "x", contents: paxRecord("path", "../evil") },
        { name: "a", contents: "x" },
      ],
      /leads out of the tree$/,
    ],
    "through a symbolic link": [
      [
        { name: "a", type: "2", linkname: ".." },
        { name: "a/evil", contents: "x" },
      ],
      /"a\/evil" cannot be made: "a", which it is in, is a symlink$/,
    ],
    "a hard link to the outside": [[{ name: "a", type: "1", linkname: "../evil" }], /leads out of the tree$/],
    "a hard link to nothing": [
      [{ name: "a", type: "1", linkname: "b" }],
      /"b", which it links to, is no file before it$/,
    ],
    "a file in the place of a directory": [
      [
        { name: "a", type: "5" },
        { name: "a", contents: "x" },
      ],
      /"a" cannot be made: it is a directory already$/,
    ],
    "a device": [[{ name: "a", type: "3" }], /"a" is a character device, which a store cannot hold$/],
    "an unknown type": [[{ name: "a", type: "Z" }], /"a" is of the unknown type "Z"/],
    "the root as a file": [[{ name: ".", contents: "x" }], /the root is not a directory$/],
    "a damaged pax header": [
      [{ name: "a", type: "x", contents: "99 path=x\n" }],
      /a record of an extended header is damaged$/,
    ],
    "too deep": [
      [
        { name: "p", type: "x", contents: paxRecord("path", "d/".repeat(80)) },
        { name: "d", type: "5" },
      ],
      /it lies deeper than 64 directories$/,
    ],
  };
  for (const [name, [entries, message]] of Object.entries(refused)) {
    test(`refuses ${name}`, async () => {
      await assert.rejects(unpackEntries(entries), (error) => {
        assert.ok(error instanceof SiloError, String(error));
        assert.match(error.message, message);
        return true;
      });
      assert.ok(!readdirSync(root).includes("evil"));
    });
  }

  test("a link may be replaced by a directory's parent only when it is none", async () => {
    // What was a link is a file afterwards: nothing is written through it.
    const tree = await unpackEntries([
      { name: "a", type: "2", linkname: "/etc/passwd" },
      { name: "a", contents: "mine" },
    ]);
    assert.deepEqual(tree, directory({ a: file("mine") }));
  });

  for (const name of [
    "not an archive at all, but long enough".repeat(30),
    "",
    "x",
    "PK\x03\x04",
    "BZh9",
    "\x1f\x8b\x08",
    "\xfd7zXZ\0",
    "\x28\xb5\x2f\xfd",
  ]) {
    test(`refuses what begins with ${JSON.stringify(name.slice(0, 10))}`, async () => {
      const archive = fresh();
      writeFileSync(archive, Buffer.from(name, "latin1"));
      if (name === "") assert.deepEqual(await unpack(archive), directory({}));
      else await assert.rejects(unpack(archive), SiloError);
    });
  }
});

describe("damaged archives", () => {
  const small = directory({
    a: file("some text, some text, some text"),
    d: directory({ l: symlink("x"), e: file("y".repeat(2000)) }),
  });
  const kinds: Readonly<Record<string, readonly string[]>> = {
    tar: ["tar", "-cf", "ARCHIVE", "tree"],
    gzip: ["tar", "-z", "-cf", "ARCHIVE", "tree"],
    bzip2: ["tar", "-j", "-cf", "ARCHIVE", "tree"],
    xz: ["tar", "-J", "-cf", "ARCHIVE", "tree"],
    zstd: ["tar", "--zstd", "-cf", "ARCHIVE", "tree"],
    zip: ["sh", "-c", "zip -qry - tree >archive"],
  };
  for (const [name, command] of Object.entries(kinds)) {
    test(name, { skip: name === "tar" ? false : skipWithout(name, name === "zip" ? "-v" : "--version") }, async () => {
      const intact = readFileSync(pack(small, ...command));
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat(intact.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
          fc.option(fc.nat(intact.length), { freq: 3 }),
          async (changes, cut) => {
            const damaged = Buffer.from(intact.subarray(0, cut ?? intact.length));
            for (const [at, byte] of changes) if (at < damaged.length) damaged[at] = byte;
            const archive = fresh();
            writeFileSync(archive, damaged);
            try {
              await unpack(archive);
            } catch (error) {
              assert.ok(error instanceof SiloError, String(error instanceof Error ? error.stack : error));
            }
          },
        ),
        { numRuns: 60 },
      );
    });
  }
});
