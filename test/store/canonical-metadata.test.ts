/** Canonical metadata of trees that builders made, and what builders may not hand over. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, linkSync, lstatSync, mkdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { storeOwner } from "../../src/store/store-owner.ts";
import { type CanonicaliseOptions, canonicaliseTree, SuspiciousFile } from "../../src/store/tree/canonical-metadata.ts";
import { mkdir, symlink } from "../../src/sys/names.ts";
import { AT_FDCWD } from "../../src/sys/syscall.ts";
import { close, O_DIRECTORY, O_RDONLY, openAt } from "../../src/sys/descriptor.ts";
import { executable, file, folder, link, placeTree } from "../support/place-tree.ts";
import { withStoreFixture } from "../support/store-fixture.ts";
import { skipWithout } from "../support/stock-nix.ts";

const isRoot = process.geteuid?.() === 0;
const needsRoot = isRoot ? false : "needs root";

function options(rest: Partial<CanonicaliseOptions> = {}): CanonicaliseOptions {
  return { owner: storeOwner(), builderUid: undefined, ignoredAttributes: new Set(), seen: new Set(), ...rest };
}

function listing(path: string): string[] {
  const { stdout } = spawnSync("find", [path, "-printf", "%P %y %m %T@\\n"]);
  return String(stdout).split("\n").slice(0, -1).sort();
}

test("modes, times and owners become those of the store", () => {
  withStoreFixture(({ dir }) => {
    placeTree(
      folder({
        "0600": file("a"),
        "0755": executable("b"),
        "4711": executable("c"),
        "0000": file(""),
        d: folder({}),
        l: link("a"),
      }),
      `${dir}/x`,
    );
    for (const name of ["0600", "0755", "4711", "0000"]) chmodSync(`${dir}/x/${name}`, Number.parseInt(name, 8));
    chmodSync(`${dir}/x/d`, 0o1700);
    if (isRoot) spawnSync("chown", ["-hR", "12345:23456", `${dir}/x`]);
    const accessTime = lstatSync(`${dir}/x/0600`).atimeMs;
    canonicaliseTree(`${dir}/x`, options());
    assert.deepEqual(listing(`${dir}/x`), [
      " d 555 1.0000000000",
      "0000 f 444 1.0000000000",
      "0600 f 444 1.0000000000",
      "0755 f 555 1.0000000000",
      "4711 f 555 1.0000000000",
      "d d 555 1.0000000000",
      "l l 777 1.0000000000",
    ]);
    for (const name of ["", "/0600", "/d", "/l"]) {
      const { uid, gid } = lstatSync(`${dir}/x${name}`);
      assert.deepEqual({ uid, gid }, storeOwner());
    }
    assert.equal(lstatSync(`${dir}/x/0600`).atimeMs, accessTime);
  });
});

test("one second after the epoch is not the same as that and a bit", () => {
  withStoreFixture(({ dir }) => {
    writeFileSync(`${dir}/x`, "");
    chmodSync(`${dir}/x`, 0o444);
    utimesSync(`${dir}/x`, 1.5, 1.5);
    canonicaliseTree(`${dir}/x`, options());
    assert.equal(statSync(`${dir}/x`).mtimeMs, 1000);
  });
});

test("directories that cannot be entered are", { skip: isRoot ? "root enters everything" : false }, () => {
  withStoreFixture(({ dir }) => {
    placeTree(folder({ d: folder({ f: file("f") }) }), `${dir}/x`);
    chmodSync(`${dir}/x/d`, 0);
    canonicaliseTree(`${dir}/x`, options());
    assert.equal(statSync(`${dir}/x/d/f`).mode & 0o777, 0o444);
  });
});

describe("types", () => {
  test("other than files, directories and links are refused", () => {
    withStoreFixture(({ dir }) => {
      mkdirSync(`${dir}/x`);
      spawnSync("mkfifo", [`${dir}/x/fifo`]);
      assert.throws(
        () => canonicaliseTree(`${dir}/x`, options()),
        (error) => error instanceof SuspiciousFile && error.path === `${dir}/x/fifo`,
      );
    });
  });
});

describe("with a builder", { skip: needsRoot }, () => {
  const builder = 54321;

  test("files of others are refused before anything of them is changed", () => {
    withStoreFixture(({ dir }) => {
      writeFileSync(`${dir}/secret`, "secret", { mode: 0o600 });
      spawnSync("setfattr", ["-n", "user.keep", "-v", "1", `${dir}/secret`]);
      mkdirSync(`${dir}/x`);
      linkSync(`${dir}/secret`, `${dir}/x/link`);
      spawnSync("chown", ["-h", `${builder}:${builder}`, `${dir}/x`]);
      assert.throws(
        () => canonicaliseTree(`${dir}/x`, options({ builderUid: builder })),
        (error) => error instanceof SuspiciousFile && error.path === `${dir}/x/link` && /ownership/.test(error.reason),
      );
      assert.equal(statSync(`${dir}/secret`).mode & 0o777, 0o600);
      const kept = spawnSync("getfattr", ["-n", "user.keep", `${dir}/secret`]);
      if (kept.error === undefined) assert.equal(kept.status, 0, String(kept.stderr));
    });
  });

  test("hard links within and between outputs of one build are fine", () => {
    withStoreFixture(({ dir }) => {
      placeTree(folder({ a: file("a") }), `${dir}/x`);
      linkSync(`${dir}/x/a`, `${dir}/x/b`);
      mkdirSync(`${dir}/y`);
      linkSync(`${dir}/x/a`, `${dir}/y/c`);
      spawnSync("chown", ["-hR", `${builder}:${builder}`, `${dir}/x`, `${dir}/y`]);
      const shared = options({ builderUid: builder });
      canonicaliseTree(`${dir}/x`, shared);
      canonicaliseTree(`${dir}/y`, shared);
      assert.equal(lstatSync(`${dir}/y/c`).nlink, 3);
      assert.throws(() => canonicaliseTree(`${dir}/y`, options({ builderUid: builder })), SuspiciousFile);
    });
  });

  test("links to others' files are only links", () => {
    withStoreFixture(({ dir }) => {
      writeFileSync(`${dir}/secret`, "secret", { mode: 0o600 });
      mkdirSync(`${dir}/x`);
      symlinkSync(`${dir}/secret`, `${dir}/x/link`);
      spawnSync("chown", ["-hR", `${builder}:${builder}`, `${dir}/x`]);
      canonicaliseTree(`${dir}/x`, options({ builderUid: builder }));
      assert.equal(statSync(`${dir}/secret`).mode & 0o777, 0o600);
      assert.equal(statSync(`${dir}/secret`).uid, process.getuid!());
    });
  });
});

describe("extended attributes", { skip: skipWithout("setfattr", "--version") }, () => {
  test("go, on every type of file and at any depth, unless they are ignored", () => {
    withStoreFixture(({ dir }) => {
      placeTree(folder({ a: file("a"), d: folder({ b: file("b") }) }), `${dir}/x`);
      const names = ["x", "x/a", "x/d", "x/d/b"];
      for (const name of names) {
        for (const attribute of ["user.one", "user.two"]) {
          if (spawnSync("setfattr", ["-n", attribute, "-v", "1", `${dir}/${name}`]).status !== 0) return;
        }
      }
      canonicaliseTree(`${dir}/x`, options({ ignoredAttributes: new Set(["user.two"]) }));
      for (const name of names) {
        const { stdout } = spawnSync("getfattr", ["--absolute-names", `${dir}/${name}`]);
        assert.deepEqual(String(stdout).trim().split("\n").slice(1), ["user.two"], name);
      }
    });
  });

  test("go also where the path is longer than any call takes", () => {
    withStoreFixture(({ dir }) => {
      let fd = openAt(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY);
      for (let depth = 0; depth < 25; depth++) {
        const name = depth === 0 ? "x" : "d".repeat(250);
        mkdir(name, 0o755, fd);
        const child = openAt(fd, name, O_RDONLY | O_DIRECTORY);
        close(fd);
        fd = child;
      }
      symlink("target", "link", fd);
      close(fd);
      canonicaliseTree(`${dir}/x`, options());
      assert.equal(statSync(`${dir}/x/${"d".repeat(250)}`).mode & 0o777, 0o555);
    });
  });
});
