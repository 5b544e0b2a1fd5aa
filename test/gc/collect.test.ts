import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { collectGarbage } from "../../src/gc/collect-garbage.ts";
import { PathStillAlive } from "../../src/gc/delete-specific.ts";
import type { StorePath } from "../../src/formats/store-path.ts";
import { addPath, addText, recursiveSha256 } from "../../src/store/add.ts";
import type { CollectOptions } from "../../src/store/collect-service.ts";
import { type LocalStore, showPath } from "../../src/store/local-store.ts";
import { optimiseStore } from "../../src/store/optimise.ts";
import { queryAllValidPaths } from "../../src/store/queries.ts";
import { verifyStore } from "../../src/store/verify.ts";
import { openLockFile, tryLock } from "../../src/sys/file-lock.ts";
import { close, O_DIRECTORY, O_RDONLY, open } from "../../src/sys/descriptor.ts";
import { skipWithout } from "../support/stock-nix.ts";
import { fixtureAt, type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";

const everything: CollectOptions = {
  action: "delete-dead",
  paths: [],
  liveness: "respect",
  referrers: "keep",
  maxFreed: undefined,
};

/** Fills a store and opens it anew, without the temporary roots of adding. */
function reopened(fixture: StoreFixture, fill: (store: LocalStore) => void): LocalStore {
  const store = fixture.open();
  fill(store);
  store.close();
  return fixture.open();
}

function root(fixture: StoreFixture, path: StorePath, name = "root"): string {
  const link = join(fixture.directories.stateDir, "gcroots", name);
  symlinkSync(join(fixture.storeDir, path), link);
  return link;
}

function names(fixture: StoreFixture): string[] {
  return readdirSync(fixture.storeDir)
    .filter((name) => name !== ".links")
    .sort();
}

function requireGood(store: LocalStore): void {
  assert.equal(verifyStore(store, { contents: "hash-contents", repair: undefined }), "good");
}

describe("deleting garbage", () => {
  test("takes what no root needs from disk and database, and leaves the rest", () =>
    withStoreFixture((fixture) => {
      const paths: StorePath[] = [];
      const store = reopened(fixture, (open) => {
        for (let i = 0; i < 6; i++) {
          paths.push(addText(open, `t${i}`, Buffer.from(`t${i}`), i === 0 ? [] : [paths[i - 1]!]));
        }
      });
      root(fixture, paths[2]!);
      const { paths: deleted, bytesFreed } = collectGarbage(store, everything);
      // Referrers first.
      assert.deepEqual(
        [...deleted],
        [paths[5]!, paths[4]!, paths[3]!].map((path) => showPath(store, path)),
      );
      assert.equal(bytesFreed, 3 * 4096);
      assert.deepEqual(names(fixture), paths.slice(0, 3).sort());
      assert.deepEqual(queryAllValidPaths(store), paths.slice(0, 3).sort());
      requireGood(store);
    }));

  test("takes invalid leftovers, and what has no store path's name", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const place = (name: string) => join(fixture.storeDir, name);
      mkdirSync(join(place(`${"0".repeat(32)}-half-made`), "a", "b"), { recursive: true });
      writeFileSync(place(`${"1".repeat(32)}-x.lock`), "");
      mkdirSync(place(`${"2".repeat(32)}-x.drv.chroot`));
      writeFileSync(place("foreign"), "");
      writeFileSync(Buffer.concat([Buffer.from(`${fixture.storeDir}/`), Buffer.from([0xff, 0x0a])]), "");
      symlinkSync("/", place("link"));
      mkdirSync(place("trash"));
      mkdirSync(place("tmp-999999999-0"));
      assert.equal(collectGarbage(store, everything).paths.length, 8);
      assert.deepEqual(names(fixture), []);
    }));

  test("leaves locked files and the scratch directories of running processes alone", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const lock = join(fixture.storeDir, `${"1".repeat(32)}-x.lock`);
      const scratch = [`add-${process.pid}-0`, `nix-${process.ppid}-7`, `.tmp-link-${process.pid}-12345`];
      for (const name of scratch) mkdirSync(join(fixture.storeDir, name));
      const locked = join(fixture.storeDir, "tmp-999999999-1");
      mkdirSync(locked);
      const fds = [openLockFile(lock), open(locked, O_RDONLY | O_DIRECTORY)];
      assert(fds.every((fd) => tryLock(fd, "exclusive")));
      const expected = [`${"1".repeat(32)}-x.lock`, "tmp-999999999-1", ...scratch].sort();
      assert.equal(collectGarbage(store, everything).paths.length, 0);
      assert.deepEqual(names(fixture), expected);
      for (const fd of fds) close(fd);
      collectGarbage(store, everything);
      assert.deepEqual(names(fixture), scratch.sort());
    }));

  test("marks a deleted lock file for whoever has it open", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const fd = openLockFile(join(fixture.storeDir, `${"1".repeat(32)}-x.lock`));
      collectGarbage(store, everything);
      assert.equal(readFileSync(`/proc/self/fd/${fd}`, "latin1"), "d");
      close(fd);
    }));

  test("does not write to an object that is called like a lock file", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const object = join(fixture.storeDir, `${"1".repeat(32)}-Cargo.lock`);
      writeFileSync(object, "", { mode: 0o644 });
      const other = join(fixture.dir, "other");
      linkSync(object, other);
      collectGarbage(store, everything);
      assert(!existsSync(object));
      assert.equal(readFileSync(other, "latin1"), "");
    }));

  test("goes on with the trash of an interrupted collection, and says so", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const trash = `${"3".repeat(32)}-silo-trash`;
      for (const name of ["a", "b"]) mkdirSync(join(fixture.storeDir, trash, name, "x"), { recursive: true });
      writeFileSync(join(fixture.storeDir, trash, "c"), "");
      const { bytesFreed } = collectGarbage(store, everything);
      assert.deepEqual(names(fixture), []);
      assert(bytesFreed > 0);
      assert(fixture.messages.includes("info: going on with the trash of an interrupted collection: 3 entries"));
    }));

  test("invalidates dead paths whose files are gone, and finds live ones through them", () =>
    withStoreFixture((fixture) => {
      let [below, above, gone]: (StorePath | undefined)[] = [];
      const store = reopened(fixture, (open) => {
        below = addText(open, "below", Buffer.from("b"), []);
        above = addText(open, "above", Buffer.from("a"), [below]);
        gone = addText(open, "gone", Buffer.from("g"), []);
      });
      root(fixture, above!);
      for (const path of [above, gone]) spawnSync("rm", [join(fixture.storeDir, path!)]);
      collectGarbage(store, everything);
      assert.deepEqual(queryAllValidPaths(store), [above!, below!].sort());
      assert.deepEqual(names(fixture), [below]);
    }));

  test("works on trees deeper than paths and descriptors reach", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const deep = join(fixture.storeDir, `${"5".repeat(32)}-deep`);
      const script = 'mkdir "$1"; cd "$1"; for i in $(seq 1500); do mkdir dddddddddd; cd dddddddddd; done; touch f';
      assert.equal(spawnSync("sh", ["-c", script, "sh", deep]).status, 0);
      collectGarbage(store, everything);
      assert.deepEqual(names(fixture), []);
      assert.deepEqual(
        fixture.messages.filter((message) => message.startsWith("warning")),
        [],
      );
    }));
});

describe("limits and sizes", () => {
  test("with max-freed enough is freed, and not much more", () =>
    withStoreFixture((fixture) => {
      const store = reopened(fixture, (open) => {
        for (let i = 0; i < 20; i++) addText(open, `t${i}`, Buffer.alloc(100_000, i), []);
      });
      const { paths, bytesFreed } = collectGarbage(store, { ...everything, maxFreed: 500_000 });
      assert(bytesFreed > 500_000 && bytesFreed < 800_000, String(bytesFreed));
      assert.equal(paths.length + names(fixture).length, 20);
      assert.equal(collectGarbage(store, { ...everything, maxFreed: 0 }).paths.length, 0);
      assert.equal(queryAllValidPaths(store).length, names(fixture).length);
    }));

  test("leftovers go first, and valid paths stay when those are enough", () =>
    withStoreFixture((fixture) => {
      const store = reopened(fixture, (open) => void addText(open, "valid", Buffer.alloc(100_000), []));
      writeFileSync(join(fixture.storeDir, `${"0".repeat(32)}-half`), Buffer.alloc(200_000));
      collectGarbage(store, { ...everything, maxFreed: 100_000 });
      assert.deepEqual(names(fixture), [...queryAllValidPaths(store)]);
      assert.equal(names(fixture).length, 1);
    }));

  test("files that share their contents count when the last goes, and max-freed goes on until then", () =>
    withStoreFixture((fixture) => {
      const source = join(fixture.dir, "source");
      const kept: StorePath[] = [];
      const store = reopened(fixture, (open) => {
        for (let i = 0; i < 10; i++) {
          spawnSync("rm", ["-rf", source]);
          mkdirSync(source);
          writeFileSync(join(source, "shared"), Buffer.alloc(400_000, 7));
          writeFileSync(join(source, "own"), Buffer.alloc(50_000, i));
          kept.push(addPath(open, source, { ...recursive, name: `tree-${i}` }));
        }
        optimiseStore(open, () => {});
      });
      root(fixture, kept[0]!);
      const before = usedBytes(fixture.storeDir);
      const { bytesFreed, paths } = collectGarbage(store, { ...everything, maxFreed: 200_000 });
      assert.equal(bytesFreed, before - usedBytes(fixture.storeDir));
      assert(bytesFreed > 200_000, String(bytesFreed));
      assert(paths.length >= 3 && paths.length < 9, String(paths.length));
      const links = () => readdirSync(join(fixture.storeDir, ".links")).length;
      assert.equal(links(), 11 - paths.length);
      spawnSync("rm", [join(store.stateDir, "gcroots", "root")]);
      const rest = collectGarbage(store, everything);
      assert.equal(links(), 0);
      assert(rest.bytesFreed > 400_000);
    }));

  test("the database is compacted when that pays", () =>
    withStoreFixture((fixture) => {
      const store = reopened(fixture, () => {});
      const rows = 60_000;
      fixture.execute(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < " +
          `${rows}) insert into ValidPaths (path, hash, registrationTime) select '${fixture.storeDir}/' || ` +
          "printf('%032d', i) || '-' || printf('%0150d', i), 'sha256:', 1 from n",
      );
      const size = () => Number(fixture.rows("pragma page_count")[0]![0]);
      const before = size();
      collectGarbage(store, everything);
      assert.equal(queryAllValidPaths(store).length, 0);
      assert(size() < before / 10, `${before} pages, then ${size()}`);
    }));
});

const recursive = { method: recursiveSha256 };

function usedBytes(directory: string): number {
  const seen = new Set<number>();
  let bytes = 0;
  const visit = (path: string, depth: number) => {
    const { ino, blocks } = lstatSync(path);
    if (!seen.has(ino) && depth > 0 && !path.endsWith("/.links")) bytes += blocks * 512;
    seen.add(ino);
    if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) visit(join(path, name), depth + 1);
  };
  visit(directory, 0);
  return bytes;
}

describe("deleting given paths", () => {
  function chain(fixture: StoreFixture, use: (store: LocalStore, paths: StorePath[]) => void): void {
    const paths: StorePath[] = [];
    const store = reopened(fixture, (open) => {
      for (let i = 0; i < 3; i++)
        paths.push(addText(open, `t${i}`, Buffer.from(`t${i}`), i === 0 ? [] : [paths[i - 1]!]));
    });
    use(store, paths);
  }
  const specific = (paths: readonly StorePath[], more: Partial<CollectOptions> = {}): CollectOptions => ({
    ...everything,
    action: "delete-specific",
    paths,
    ...more,
  });

  test("tells the root and the references that keep a path alive", () =>
    withStoreFixture((fixture) =>
      chain(fixture, (store, [a, b, c]) => {
        const link = root(fixture, c!);
        const shown = [c!, b!, a!].map((path) => showPath(store, path));
        assert.throws(
          () => collectGarbage(store, specific([a!])),
          (error) =>
            error instanceof PathStillAlive &&
            error.root === link &&
            error.message ===
              `cannot delete path '${shown[2]}' since it is still alive: '${link}' -> '${shown[0]}' -> '${shown[1]}' -> '${shown[2]}'`,
        );
        assert.equal(names(fixture).length, 3);
      }),
    ));

  test("takes them together with what refers to them, or not at all", () =>
    withStoreFixture((fixture) =>
      chain(fixture, (store, [a, b, c]) => {
        assert.throws(
          () => collectGarbage(store, specific([a!, b!])),
          /it is still alive: .*-t2' -> .*-t1'; what needs it/,
        );
        assert.equal(names(fixture).length, 3);
        assert.equal(collectGarbage(store, specific([a!, c!, b!])).paths.length, 3);
        assert.deepEqual(names(fixture), []);
      }),
    ));

  test("takes what refers to them along when asked to", () =>
    withStoreFixture((fixture) =>
      chain(fixture, (store, [a, b, c]) => {
        const { paths } = collectGarbage(store, specific([b!], { referrers: "delete" }));
        assert.deepEqual(
          [...paths],
          [c!, b!].map((path) => showPath(store, path)),
        );
        assert.deepEqual(names(fixture), [a]);
      }),
    ));

  test("may ignore roots, but no references and no temporary roots", () =>
    withStoreFixture((fixture) =>
      chain(fixture, (store, [a, , c]) => {
        root(fixture, c!);
        const ignore = { liveness: "ignore" } as const;
        assert.throws(() => collectGarbage(store, specific([a!], ignore)), PathStillAlive);
        assert.equal(collectGarbage(store, specific([c!], ignore)).paths.length, 1);
        store.tempRoots.add([showPath(store, a!)]);
        assert.throws(() => collectGarbage(store, specific([a!], ignore)), /\{temp:[0-9]+\}/);
      }),
    ));

  test("takes invalid paths, too", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const name = `${"7".repeat(32)}-half` as StorePath;
      mkdirSync(join(fixture.storeDir, name));
      assert.equal(collectGarbage(store, specific([name])).paths.length, 1);
      assert.deepEqual(names(fixture), []);
    }));
});

describe("what cannot be deleted", () => {
  const asRoot = process.getuid?.() === 0 ? false : "needs root";

  test("is told and left, and everything else goes", { skip: asRoot || skipWithout("chattr", "-V") }, (t) =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const stubborn = join(fixture.storeDir, `${"0".repeat(32)}-stubborn`);
      mkdirSync(join(stubborn, "d"), { recursive: true });
      writeFileSync(join(stubborn, "d", "immutable"), "");
      for (let i = 1; i < 9; i++) mkdirSync(join(fixture.storeDir, `${String(i).repeat(32)}-x`));
      if (spawnSync("chattr", ["+i", join(stubborn, "d", "immutable")]).status !== 0) {
        t.skip("this file system has no immutable files");
        return;
      }
      collectGarbage(store, everything);
      const [left, ...others] = names(fixture);
      assert.deepEqual(others, []);
      assert(left!.endsWith("-silo-trash"));
      const where = join(fixture.storeDir, left!, `0-${"0".repeat(32)}-stubborn`, "d", "immutable");
      assert(fixture.messages.includes(`warning: warning: deleting '${where}': Operation not permitted`));
      spawnSync("chattr", ["-i", where]);
      collectGarbage(store, everything);
      assert.deepEqual(names(fixture), []);
    }),
  );

  test("a mount is not emptied", { skip: asRoot }, (t) =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const inside = join(fixture.storeDir, `${"0".repeat(32)}-chroot`, "mnt");
      const itself = join(fixture.storeDir, `${"1".repeat(32)}-mounted`);
      const precious = join(fixture.dir, "precious");
      for (const directory of [inside, itself, precious]) mkdirSync(directory, { recursive: true });
      writeFileSync(join(precious, "file"), "");
      if (spawnSync("mount", ["--bind", precious, itself]).status !== 0) {
        t.skip("mounting is not allowed");
        return;
      }
      spawnSync("mount", ["--bind", precious, inside]);
      try {
        collectGarbage(store, everything);
        assert(existsSync(join(precious, "file")));
        assert.deepEqual(fixture.messages.filter((message) => message.includes("Device or resource busy")).length, 2);
      } finally {
        const mounts = readFileSync("/proc/self/mounts", "utf8")
          .split("\n")
          .map((line) => line.split(" ")[1] ?? "")
          .filter((path) => path.startsWith(fixture.storeDir));
        for (const path of mounts) spawnSync("umount", [path]);
      }
      collectGarbage(store, everything);
      assert.deepEqual(names(fixture), []);
    }),
  );

  test("a user without privileges deletes read-only trees", { skip: asRoot }, () =>
    withStoreFixture((fixture) => {
      const nobody = 65534;
      chmodSync(fixture.dir, 0o755);
      chownSync(fixture.dir, nobody, nobody);
      spawnSync("chown", ["-R", `${nobody}:${nobody}`, fixture.dir]);
      const source = join(fixture.dir, "source");
      mkdirSync(join(source, "a", "b"), { recursive: true });
      writeFileSync(join(source, "a", "b", "c"), "c");
      chmodSync(join(source, "a", "b", "c"), 0o444);
      const run = (args: string[]) => {
        const env = { ...fixture.env, HOME: fixture.dir };
        const result = spawnSync(process.execPath, args, { env, uid: nobody, gid: nobody });
        assert.equal(result.status, 0, String(result.stderr));
        return String(result.stdout).trim();
      };
      const support = join(import.meta.dirname, "..", "support");
      const path = run([join(support, "store-driver.ts"), "add", source]);
      assert.equal(lstatSync(path).mode & 0o777, 0o555);
      const invalid = join(fixture.storeDir, `${"0".repeat(32)}-read-only`);
      mkdirSync(join(invalid, "x", "y"), { recursive: true });
      spawnSync("chown", ["-R", `${nobody}:${nobody}`, invalid]);
      spawnSync("chmod", ["-R", "a-w", invalid]);
      assert.equal(run([join(support, "gc-driver.ts"), "collect"]).split(" ")[0], "2");
      assert.deepEqual(names(fixture), []);
    }),
  );

  test("a full disk ends nothing: what is deleted first makes room for the rest", { skip: asRoot }, (t) => {
    return withStoreFixture((outer) => {
      const mount = join(outer.dir, "small");
      mkdirSync(mount);
      if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", mount]).status !== 0) {
        t.skip("mounting is not allowed");
        return;
      }
      try {
        const fixture = fixtureAt(join(mount, "fixture"));
        const store = reopened(fixture, (open) => {
          for (let i = 0; i < 300; i++) addText(open, `t${i}`, Buffer.alloc(20_000, i), []);
        });
        spawnSync("dd", ["if=/dev/zero", `of=${join(mount, "filler")}`, "bs=64k"]);
        spawnSync("dd", ["if=/dev/zero", `of=${join(mount, "filler2")}`, "bs=512"]);
        assert.equal(collectGarbage(store, everything).paths.length, 300);
        assert.deepEqual(names(fixture), []);
        assert.equal(queryAllValidPaths(store).length, 0);
        fixture.remove();
      } finally {
        spawnSync("umount", [mount]);
      }
    });
  });
});
