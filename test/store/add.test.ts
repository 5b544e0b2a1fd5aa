/** Adding: which path, what files, what is refused and leaves nothing behind. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import fc from "fast-check";
import { bytesReader } from "../../src/formats/bytes-reader.ts";
import type { ContentAddressMethod } from "../../src/formats/content-address.ts";
import { BadNar } from "../../src/formats/nar/format.ts";
import { encodeNar, type NarTree } from "../../src/formats/nar/tree.ts";
import { BadStorePath } from "../../src/formats/store-path.ts";
import {
  addNar,
  addPath,
  addText,
  addTree,
  computePathFor,
  NotRegularFile,
  recursiveSha256,
} from "../../src/store/add.ts";
import { type LocalStore, realPath, showPath } from "../../src/store/local-store.ts";
import { queryAllValidPaths, requirePathInfo } from "../../src/store/queries.ts";
import { hashTree } from "../../src/store/tree/nar-hash.ts";
import { UnsupportedFile } from "../../src/store/tree/walk.ts";
import { verifyStore } from "../../src/store/verify.ts";
import { arbitraryTree, deepTree, flatten } from "../support/arbitrary-tree.ts";
import { executable, file, folder, link, placeTree, readTree } from "../support/place-tree.ts";
import { printedPath, type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";
import { skipWithout, skipWithoutNix } from "../support/stock-nix.ts";

const isRoot = process.geteuid?.() === 0;
const whole = { name: "x", method: recursiveSha256 };

/** Names in the store directory besides valid paths and `.links`. */
function leftovers(fixture: StoreFixture, store: LocalStore): string[] {
  const valid = new Set<string>(queryAllValidPaths(store));
  return readdirSync(fixture.storeDir).filter((name) => name !== ".links" && !valid.has(name));
}

/** Every file of a path has the metadata of a store object. */
function checkCanonical(path: string): void {
  const { stdout } = spawnSync("find", [path, "-printf", "%y %m %T@ %U %G\\n"]);
  for (const line of String(stdout).trim().split("\n")) {
    const [kind, mode, time, uid, gid] = line.split(" ");
    if (kind === "d") assert.equal(mode, "555", line);
    if (kind === "f") assert.match(mode!, /^(444|555)$/, line);
    assert.match(time!, /^1\.0+$/, line);
    assert.equal(`${uid} ${gid}`, `${process.geteuid!()} ${process.getegid!()}`, line);
  }
}

describe("a tree", () => {
  test("comes into the store as it is, with canonical metadata, and its row says what it is", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const tree = folder({
        a: file("a"),
        b: executable("b"),
        c: link("/nowhere"),
        d: folder({}),
        e: folder({ f: file("") }),
      });
      placeTree(tree, `${fixture.dir}/x`);
      const path = addPath(store, `${fixture.dir}/x`, whole);
      const real = realPath(store, path);
      assert.deepEqual(readTree(real), tree);
      checkCanonical(real);
      const info = requirePathInfo(store, path);
      const { hash, size } = hashTree(real, "sha256");
      assert.deepEqual(info.narHash, hash);
      assert.equal(info.narSize, size);
      assert.deepEqual([info.references, info.deriver, info.ultimate, info.signatures], [[], undefined, false, []]);
      assert(Math.abs(info.registrationTimeSec - Date.now() / 1000) < 60);
      assert.deepEqual(leftovers(fixture, store), []);
      assert.equal(addPath(store, `${fixture.dir}/x`, whole), path);
    });
  });

  test("of any shape comes back the same, whichever way it came", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      let count = 0;
      fc.assert(
        fc.property(arbitraryTree, (tree) => {
          const source = `${fixture.dir}/t${count++}`;
          placeTree(tree, source);
          const path = addPath(store, source, whole);
          assert.deepEqual(flatten(readTree(realPath(store, path))), flatten(tree));
          assert.equal(addNar(store, bytesReader(encodeNar(tree), "NAR"), whole), path);
          assert.deepEqual(computePathFor(store.storeDir, source, whole).path, path);
        }),
        { numRuns: 60 },
      );
      assert.equal(verifyStore(store, { contents: "hash-contents", repair: undefined }), "good");
      assert.deepEqual(leftovers(fixture, store), []);
    });
  });

  test("that does not fit in memory goes to disk at once", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      // Over the limit between files, and within one.
      const trees: NarTree[] = [
        folder(Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`f${i}`, file(`${10 + i}`.repeat(120_000))]))),
        file("0123456789".repeat(1_000_000)),
      ];
      trees.forEach((tree, i) => {
        placeTree(tree, `${fixture.dir}/big${i}`);
        const path = addPath(store, `${fixture.dir}/big${i}`, whole);
        const nar = encodeNar(tree);
        assert(Buffer.from(nar).equals(encodeNar(readTree(realPath(store, path)))), "another tree");
        checkCanonical(realPath(store, path));
        assert.equal(addNar(store, bytesReader(nar, "NAR"), whole), path);
      });
      assert.deepEqual(leftovers(fixture, store), []);
    });
  });

  test("63 directories deep is taken, 64 is not", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      placeTree(deepTree(63), `${fixture.dir}/deep`);
      addPath(store, `${fixture.dir}/deep`, whole);
      mkdirSync(`${fixture.dir}/deeper`);
      spawnSync("cp", ["-r", `${fixture.dir}/deep`, `${fixture.dir}/deeper/d`]);
      assert.throws(() => addPath(store, `${fixture.dir}/deeper`, whole), UnsupportedFile);
      assert.deepEqual(leftovers(fixture, store), []);
    });
  });

  test("is shown to the filter, and what that leaves out is not entered", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      placeTree(folder({ a: file("a"), b: folder({ c: file("c") }), d: link("d") }), `${fixture.dir}/x`);
      const seen: string[] = [];
      const path = addPath(store, `${fixture.dir}/x`, whole, (name, kind) => {
        seen.push(`${kind} ${name.slice(fixture.dir.length + 1)}`);
        return kind !== "directory";
      });
      assert.deepEqual(seen, ["regular x/a", "directory x/b", "symlink x/d"]);
      assert.deepEqual(readTree(realPath(store, path)), folder({ a: file("a"), d: link("d") }));
    });
  });
});

describe("methods", () => {
  const algorithms = ["md5", "sha1", "sha256", "sha512"] as const;
  const methods: readonly ContentAddressMethod[] = algorithms.flatMap((hashAlgo) => [
    { kind: "fixed", method: "flat", hashAlgo } as const,
    { kind: "fixed", method: "recursive", hashAlgo } as const,
  ]);

  test("give the paths of Nix", { skip: skipWithoutNix }, () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      writeFileSync(`${fixture.dir}/x`, "contents");
      for (const method of methods) {
        if (method.kind !== "fixed") continue;
        const path = addPath(store, `${fixture.dir}/x`, { name: "x", method });
        const flags = method.method === "recursive" ? ["--recursive"] : [];
        const theirs = fixture.nix([...flags, "--add-fixed", method.hashAlgo, `${fixture.dir}/x`]);
        assert.equal(path, printedPath(fixture, theirs));
        assert.equal(computePathFor(store.storeDir, `${fixture.dir}/x`, { name: "x", method }).path, path);
      }
      assert.equal(String(fixture.nix(["--verify", "--check-contents"])), "");
    });
  });

  test("leave the rows that Nix leaves", { skip: skipWithoutNix }, () => {
    const columns = "path, hash, deriver, narSize, ultimate, sigs, ca";
    const rowsOf = (add: (fixture: StoreFixture, method: ContentAddressMethod) => void) =>
      withStoreFixture((fixture) => {
        writeFileSync(`${fixture.dir}/x`, "contents");
        for (const method of methods) add(fixture, method);
        return fixture
          .rows(`select ${columns} from ValidPaths`)
          .map((row) => row.map((value) => String(value).replaceAll(fixture.dir, "")).slice(1))
          .sort();
      });
    const ours = rowsOf((fixture, method) => {
      addPath(fixture.open(), `${fixture.dir}/x`, { name: "x", method });
    });
    const theirs = rowsOf((fixture, method) => {
      const flags = method.kind === "fixed" && method.method === "recursive" ? ["--recursive"] : [];
      fixture.nix([...flags, "--add-fixed", method.hashAlgo, `${fixture.dir}/x`]);
    });
    assert.deepEqual(ours, theirs);
  });

  test("for flat files refuse everything else", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      placeTree(folder({ a: file("a") }), `${fixture.dir}/folder`);
      placeTree(link("folder"), `${fixture.dir}/link`);
      const method = { kind: "fixed", method: "flat", hashAlgo: "sha256" } as const;
      for (const name of ["folder", "link"]) {
        assert.throws(() => addPath(store, `${fixture.dir}/${name}`, { name, method }), NotRegularFile);
      }
      assert.deepEqual(leftovers(fixture, store), []);
    });
  });
});

describe("a text", () => {
  test("has its references in its path", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const a = addText(store, "a", Buffer.from("a"), []);
      const b = addText(store, "b", Buffer.from("b"), []);
      const c = addText(store, "c", Buffer.from("c"), [b, a]);
      assert.notEqual(c, addText(store, "c", Buffer.from("c"), []));
      assert.deepEqual(requirePathInfo(store, c).references, [a, b].sort());
      assert.equal(readFileSync(realPath(store, c), "latin1"), "c");
      checkCanonical(realPath(store, c));
    });
  });

  test("may be empty", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      assert.equal(statSync(realPath(store, addText(store, "empty", new Uint8Array(0), []))).size, 0);
    });
  });
});

describe("what cannot be added", () => {
  test("fifos, sockets and devices", async () => {
    await withStoreFixture(async (fixture) => {
      const store = fixture.open();
      mkdirSync(`${fixture.dir}/x`);
      const server = createServer().listen(`${fixture.dir}/x/socket`);
      await new Promise((listening) => server.once("listening", listening));
      assert.throws(
        () => addPath(store, `${fixture.dir}/x`, whole),
        (error) => error instanceof UnsupportedFile && error.path === `${fixture.dir}/x/socket`,
      );
      await new Promise((closed) => server.close(closed));
      spawnSync("mkfifo", [`${fixture.dir}/fifo`]);
      for (const path of [`${fixture.dir}/fifo`, "/dev/null", "/dev/zero"]) {
        assert.throws(() => addPath(store, path, whole), UnsupportedFile);
      }
      assert.deepEqual(leftovers(fixture, store), []);
    });
  });

  test("what is not there, and what may not be read", () => {
    withStoreFixture((fixture) => {
      assert.throws(() => addPath(fixture.open(), `${fixture.dir}/absent`, whole), /No such file/);
    });
  });

  test("names that no store path can have", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      for (const name of ["", ".", "..", "a/b", "a b", "\xe4", "x".repeat(212)]) {
        assert.throws(() => addText(store, name, new Uint8Array(0), []), BadStorePath, name);
      }
    });
  });

  test("a NAR that is cut or damaged, at any byte", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const nar = encodeNar(folder({ a: file("a".repeat(70)), b: executable("b"), c: link("c") }));
      for (let end = 0; end < nar.length; end += 5) {
        assert.throws(
          () => addNar(store, bytesReader(nar.subarray(0, end), "NAR"), whole),
          /ends unexpectedly|Cannot read/,
        );
      }
      const damaged = new Uint8Array(nar);
      damaged[8] = 0x4e;
      assert.throws(() => addNar(store, bytesReader(damaged, "NAR"), whole), BadNar);
      assert.deepEqual(leftovers(fixture, store), []);
      assert.deepEqual(queryAllValidPaths(store), []);
    });
  });

  test("a producer that fails after the tree went to disk", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const failing = () =>
        addTree(store, whole, (visitor) => {
          visitor.directory("" as never);
          visitor.file("a" as never, "regular", 20 << 20);
          for (let i = 0; i < 10; i++) visitor.contents(new Uint8Array(1 << 20));
          throw new Error("the source is gone");
        });
      assert.throws(failing, /the source is gone/);
      assert.deepEqual(leftovers(fixture, store), []);
    });
  });
});

describe("metadata of sources", () => {
  test("hard links become files of their own", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      placeTree(folder({ a: file("same") }), `${fixture.dir}/x`);
      linkSync(`${fixture.dir}/x/a`, `${fixture.dir}/x/b`);
      linkSync(`${fixture.dir}/x/a`, `${fixture.dir}/outside`);
      const real = realPath(store, addPath(store, `${fixture.dir}/x`, whole));
      assert.equal(lstatSync(`${real}/a`).nlink, 1);
      assert.deepEqual(readTree(real), folder({ a: file("same"), b: file("same") }));
      assert.equal(lstatSync(`${fixture.dir}/outside`).nlink, 3);
    });
  });

  test("extended attributes and ACLs stay behind, also those that the store directory hands down", {
    skip: attributesFault(),
  }, () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      placeTree(folder({ a: file("a"), d: folder({ b: executable("b") }), l: link("a") }), `${fixture.dir}/x`);
      spawnSync("setfattr", ["-n", "user.test", "-v", "1", `${fixture.dir}/x/a`]);
      spawnSync("setfacl", ["-R", "-m", "u:nobody:rwx", `${fixture.dir}/x`]);
      const { status } = spawnSync("setfacl", ["-d", "-m", "u:nobody:rwx", fixture.storeDir]);
      assert.equal(status, 0);
      const attributesOf = (path: string) => String(spawnSync("getfattr", ["-R", "-h", "-m", "-", path]).stdout);
      assert.match(attributesOf(`${fixture.dir}/x`), /posix_acl/);
      const small = realPath(store, addPath(store, `${fixture.dir}/x`, whole));
      assert.equal(attributesOf(small), "");
      checkCanonical(small);
      writeFileSync(`${fixture.dir}/x/big`, Buffer.alloc(10 << 20));
      const large = realPath(store, addPath(store, `${fixture.dir}/x`, whole));
      assert.equal(attributesOf(large), "");
      checkCanonical(large);
    });
  });

  test("nor does a set-group-ID store directory hand its group down", { skip: isRoot ? false : "needs root" }, () => {
    withStoreFixture((fixture) => {
      fixture.open().close();
      spawnSync("sh", ["-c", 'chgrp 12345 "$0" && chmod 2775 "$0"', fixture.storeDir]);
      placeTree(folder({ a: file("a"), d: folder({}) }), `${fixture.dir}/x`);
      const store = fixture.open();
      checkCanonical(realPath(store, addPath(store, `${fixture.dir}/x`, whole)));
    });
  });

  test("a strict umask changes nothing", () => {
    withStoreFixture((fixture) => {
      placeTree(folder({ a: file("a"), b: executable("b"), d: folder({ c: file("c") }) }), `${fixture.dir}/x`);
      const before = process.umask(0o277);
      try {
        const store = fixture.open();
        checkCanonical(realPath(store, addPath(store, `${fixture.dir}/x`, whole)));
      } finally {
        process.umask(before);
      }
    });
  });
});

function attributesFault(): string | false {
  const missing = skipWithout("setfacl", "--version") || skipWithout("getfattr", "--version");
  if (missing) return missing;
  return withStoreFixture(({ dir }) =>
    spawnSync("setfacl", ["-m", "u:nobody:r", dir]).status === 0 ? false : "the file system has no ACLs",
  );
}

describe("repair", () => {
  test("replaces damaged files, others' way of looking at them notwithstanding", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      placeTree(folder({ a: file("a") }), `${fixture.dir}/x`);
      const path = addPath(store, `${fixture.dir}/x`, whole);
      const real = realPath(store, path);
      spawnSync("sh", ["-c", 'chmod -R u+w "$0" && echo damage > "$0/a" && touch "$0/b"', real]);
      assert.equal(addPath(store, `${fixture.dir}/x`, whole), path);
      assert.equal(readFileSync(`${real}/a`, "latin1"), "damage\n");
      addPath(store, `${fixture.dir}/x`, { ...whole, mode: "repair" });
      assert.deepEqual(readTree(real), folder({ a: file("a") }));
      checkCanonical(real);
      spawnSync("rm", ["-rf", real]);
      addPath(store, `${fixture.dir}/x`, { ...whole, mode: "repair" });
      assert.deepEqual(readTree(real), folder({ a: file("a") }));
      assert.deepEqual(leftovers(fixture, store), []);
    });
  });

  test("of a path that is not valid adds it", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      assert(existsSync(realPath(store, addText(store, "a", Buffer.from("a"), [], "repair"))));
    });
  });
});

test("what a crash left at a path is replaced", () => {
  withStoreFixture((fixture) => {
    const store = fixture.open();
    placeTree(folder({ a: file("a") }), `${fixture.dir}/x`);
    const { path } = computePathFor(store.storeDir, `${fixture.dir}/x`, whole);
    placeTree(folder({ half: file("half"), sub: folder({ b: file("b") }) }), realPath(store, path));
    spawnSync("chmod", ["-R", "a-w", realPath(store, path)]);
    addPath(store, `${fixture.dir}/x`, whole);
    assert.deepEqual(readTree(realPath(store, path)), folder({ a: file("a") }));
  });
});

test("several processes add the same path at the same time", async () => {
  await withStoreFixture(async (fixture) => {
    writeFileSync(`${fixture.dir}/x`, Buffer.alloc(12 << 20, "contents"));
    placeTree(
      folder(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, file(`${i}`)]))),
      `${fixture.dir}/y`,
    );
    const adders = Array.from({ length: 4 }, (_, i) =>
      fixture.startSilo(["add", ...(i % 2 === 0 ? ["x", "y"] : ["y", "x"]).map((name) => `${fixture.dir}/${name}`)]),
    );
    const results = await Promise.all(
      adders.map(
        (adder) =>
          new Promise<string>((resolve, reject) => {
            let output = "";
            adder.stdout!.on("data", (chunk) => {
              output += String(chunk);
            });
            adder.on("close", (status) => (status === 0 ? resolve(output) : reject(new Error(`status ${status}`))));
          }),
      ),
    );
    const printed = new Set(results.map((output) => output.trim().split("\n").sort().join()));
    assert.equal(printed.size, 1);
    const store = fixture.open();
    assert.equal(queryAllValidPaths(store).length, 2);
    assert.deepEqual(leftovers(fixture, store), []);
    assert.equal(verifyStore(store, { contents: "hash-contents", repair: undefined }), "good");
    for (const path of queryAllValidPaths(store)) assert([...printed][0]!.includes(showPath(store, path)));
  });
});

test("a large file takes no more memory than a small one", () => {
  withStoreFixture((fixture) => {
    const peak = (size: string) => {
      spawnSync("truncate", ["-s", size, `${fixture.dir}/sparse`]);
      const [, kilobytes] = /^peak ([0-9]+)$/m.exec(
        String(fixture.silo(["add-flat", "sha256", `${fixture.dir}/sparse`])),
      )!;
      return Number(kilobytes) / 1024;
    };
    const small = peak("16M");
    const large = peak(process.env["SILO_LONG"] === "1" ? "8G" : "320M");
    assert(large < small + 40, `${large} MiB instead of ${small} MiB`);
  });
});
