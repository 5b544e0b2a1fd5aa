/** Deleting trees: read-only ones, deep ones, and never beyond a symbolic link. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { close, O_DIRECTORY, O_RDONLY, openAt } from "../../src/sys/descriptor.ts";
import { deleteTree } from "../../src/sys/delete-tree.ts";
import { mkdir } from "../../src/sys/names.ts";
import { AT_FDCWD } from "../../src/sys/syscall.ts";
import { file, folder, link, placeTree } from "../support/place-tree.ts";
import { withStoreFixture } from "../support/store-fixture.ts";

test("read-only trees go, and what was freed is counted", () => {
  withStoreFixture(({ dir }) => {
    placeTree(folder({ a: file("x".repeat(5000)), d: folder({ e: folder({}), f: link("a") }) }), `${dir}/x`);
    spawnSync("chmod", ["-R", "a-w", `${dir}/x`]);
    const freed = deleteTree(`${dir}/x`);
    assert(!existsSync(`${dir}/x`));
    assert.equal(freed.files, 5);
    assert(freed.bytes >= 5000 && freed.bytes <= 16384, String(freed.bytes));
    assert.deepEqual(deleteTree(`${dir}/x`), { bytes: 0, files: 0 });
  });
});

test("directories without any permission go", () => {
  withStoreFixture(({ dir }) => {
    placeTree(folder({ d: folder({ f: file("f") }) }), `${dir}/x`);
    chmodSync(`${dir}/x/d`, 0);
    deleteTree(`${dir}/x`);
    assert(!existsSync(`${dir}/x`));
  });
});

test("links go, what they point to stays; a hard link frees nothing", () => {
  withStoreFixture(({ dir }) => {
    mkdirSync(`${dir}/precious`);
    writeFileSync(`${dir}/precious/file`, "precious");
    mkdirSync(`${dir}/x`);
    symlinkSync(`${dir}/precious`, `${dir}/x/link`);
    linkSync(`${dir}/precious/file`, `${dir}/x/hard`);
    assert.equal(deleteTree(`${dir}/x`).bytes < 8192, true);
    symlinkSync(`${dir}/precious`, `${dir}/top`);
    deleteTree(`${dir}/top`);
    assert.equal(readFileSync(`${dir}/precious/file`, "latin1"), "precious");
    assert(!existsSync(`${dir}/top`));
  });
});

test("trees deeper than any path go", () => {
  withStoreFixture(({ dir }) => {
    let fd = openAt(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY);
    for (let depth = 0; depth < 400; depth++) {
      const name = depth === 0 ? "deep" : "d".repeat(100);
      mkdir(name, 0o555, fd);
      const child = openAt(fd, name, O_RDONLY | O_DIRECTORY);
      close(fd);
      fd = child;
    }
    close(fd);
    assert.equal(deleteTree(`${dir}/deep`).files, 400);
    assert(!existsSync(`${dir}/deep`));
  });
});

test("a deep tree of read-only directories goes for an ordinary user, too", () => {
  withStoreFixture(({ dir }) => {
    chmodSync(dir, 0o777);
    const path = `${dir}/${Array.from({ length: 100 }, () => "d").join("/")}`;
    const isRoot = process.geteuid!() === 0;
    const user = isRoot ? { uid: 23_456, gid: 23_456 } : {};
    assert.equal(spawnSync("sh", ["-c", 'mkdir -p "$0" && chmod -R a-w "$1"', path, `${dir}/d`], user).status, 0);
    const module = `${import.meta.dirname}/../../src/sys/delete-tree.ts`;
    const script = `import { deleteTree } from ${JSON.stringify(module)}; deleteTree(${JSON.stringify(`${dir}/d`)});`;
    const { status, stderr } = spawnSync(process.execPath, ["-e", script], { ...user, env: { HOME: dir } });
    assert.equal(status, 0, stderr.toString());
    assert(!existsSync(`${dir}/d`));
  });
});
