/**
 * Putting things into stores and getting them out again, by stock Nix 2.8.0 and by silo: each on its own store under the
 * same paths, and each with what the other made. Paths, bytes and database rows must be the same.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { arbitraryTree } from "../support/arbitrary-tree.ts";
import { fillStore } from "../support/generated-store.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";
import {
  createTempStore,
  databaseContents,
  type Maker,
  type TempStore,
  withTempStores,
} from "../support/temp-store.ts";
import { putOnDisk } from "../support/tree-on-disk.ts";

const makers: readonly Maker[] = ["nix", "silo"];

/** Trees of every kind under plain names, in a directory that both stores are given. */
function makeTrees(dir: string, count: number): string[] {
  mkdirSync(dir);
  const trees = fc.sample(arbitraryTree, { numRuns: count, seed: 42 });
  const files = trees.map((tree, i) => {
    putOnDisk(tree, Buffer.from(join(dir, `tree-${i}`)));
    return join(dir, `tree-${i}`);
  });
  writeFileSync(join(dir, "empty"), "");
  writeFileSync(join(dir, "program"), "#!/bin/sh\n", { mode: 0o755 });
  symlinkSync("/nonexistent", join(dir, "dangling"));
  return [...files, ...["empty", "program", "dangling"].map((name) => join(dir, name))];
}

const isRegular = (file: string) => lstatSync(file).isFile();

/** Runs the same on both stores, each with its own program; the outputs must be the same. */
function onBoth(stores: readonly TempStore[], args: readonly string[], input?: Uint8Array | string): string {
  const [nix, silo] = makers.map((maker, i) => stores[i]!.output(maker, args, input === undefined ? {} : { input }));
  assert.equal(silo, nix, args.join(" ").slice(0, 200));
  return nix!;
}

describe("nix-store, each program on its own store", { skip: skipWithoutNix }, () => {
  test("adding: the same paths, rows and files", () => {
    withTempStores(["chroot", "chroot"], (...stores) => {
      const files = makeTrees(join(stores[0]!.dir, "trees"), 50);
      const added = onBoth(stores, ["--add", ...files])
        .trim()
        .split("\n");
      assert.equal(added.length, files.length);
      for (const algo of ["md5", "sha1", "sha256", "sha512"]) {
        onBoth(stores, ["--add-fixed", algo, ...files.filter(isRegular)]);
        onBoth(stores, ["--add-fixed", "--recursive", algo, ...files]);
      }
      assert.deepEqual(databaseContents(stores[1]!), databaseContents(stores[0]!));
      assert.equal(treeListing(stores[1]!), treeListing(stores[0]!));
      for (const maker of makers) {
        for (const store of stores) {
          store.output(maker, ["--verify", "--check-contents"]);
          store.output(maker, ["--verify-path", ...added.slice(0, 20)]);
        }
      }
    });
  });

  test("dumping a database, loading it, registering what is in place", () => {
    withTempStores(["own-directory"], (source) => {
      fillStore(source!, 7, 15);
      const dump = source!.output("nix", ["--dump-db"]);
      assert.equal(source!.output("silo", ["--dump-db"]), dump);
      const [byNix, bySilo] = makers.map((maker) => {
        source!.rows("delete from Refs");
        source!.rows("delete from ValidPaths");
        source!.output(maker, ["--load-db"], { input: dump });
        return databaseContents(source!);
      });
      assert.deepEqual(bySilo, byNix);
      assert.equal(source!.output("silo", ["--dump-db"]), dump);
    });
    withTempStores(["chroot", "chroot"], (...stores) => {
      const files = makeTrees(join(stores[0]!.dir, "trees"), 10).filter((file) => existsSync(file));
      const paths = onBoth(stores, ["--add", ...files])
        .trim()
        .split("\n")
        .sort();
      for (const store of stores) store.rows("delete from ValidPaths");
      const registrations = (from: readonly string[]) =>
        from.map((path, i) => `${path}\n\n${i === 0 ? 1 : 2}\n${path}\n${i === 0 ? "" : `${from[i - 1]}\n`}`).join("");
      // Stock Nix 2.8.0 looks for the files of a chroot store where their paths say: its rows are made the other way round.
      stores[1]!.output("silo", ["--register-validity"], { input: registrations(paths) });
      const dump = stores[1]!.output("silo", ["--dump-db"]);
      onBoth(stores, ["--load-db"], dump);
      assert.deepEqual(databaseContents(stores[1]!), databaseContents(stores[0]!));
      assert.equal(stores[0]!.output("nix", ["--verify", "--check-contents"]), "");
    });
  });

  test("registering validity with and without hashes", () => {
    for (const flags of [[], ["--reregister"], ["--hash-given"], ["--hash-given", "--reregister"]]) {
      const rows = makers.map((maker) => {
        const store = createTempStore();
        try {
          return registered(store, maker, flags);
        } finally {
          store.remove();
        }
      });
      assert.deepEqual(rows[1], rows[0], flags.join(" "));
    }
  });

  /** Without the store directory, in which the stores differ. */
  function registered(store: TempStore, maker: Maker, flags: readonly string[]): string {
    const hashes = ["0", "1"].map((digit) => digit.repeat(32));
    mkdirSync(store.storeDir);
    const [known, fresh] = hashes.map((hash) => `${store.storeDir}/${hash}-object`);
    for (const path of [known!, fresh!]) {
      mkdirSync(path);
      writeFileSync(join(path, "file"), "contents", { mode: 0o640 });
    }
    const entry = (path: string, references: readonly string[], nar: readonly string[]) =>
      [path, ...nar, "", references.length, ...references].map((line) => `${line}\n`).join("");
    const nar = flags.includes("--hash-given") ? ["0".repeat(64), "120"] : [];
    store.output(maker, ["--register-validity"], { input: entry(known!, [], []) });
    store.output(maker, ["--register-validity", ...flags], {
      input: entry(known!, [fresh!], nar) + entry(fresh!, [fresh!], nar),
    });
    assert.equal(lstatSync(join(fresh!, "file")).mode & 0o7777, 0o444);
    assert.equal(lstatSync(join(fresh!, "file")).mtimeMs, 1000);
    return JSON.stringify(databaseContents(store)).replaceAll(store.storeDir, "/store");
  }
});

describe("nix-store, what one made for the other", { skip: skipWithoutNix }, () => {
  test("archives: dump and restore", () => {
    const store = createTempStore();
    try {
      const files = makeTrees(join(store.dir, "trees"), 60);
      for (const [i, file] of files.entries()) {
        const [nix, silo] = makers.map((maker) => store.run(maker, "nix-store", ["--dump", file]));
        assert.ok(silo!.stdout.equals(nix!.stdout), file);
        if (i % 3 > 0) continue;
        const copies = makers.map((maker) => join(store.dir, `copy-${i}-${maker}`));
        for (const [j, maker] of makers.entries()) {
          store.output(maker, ["--restore", copies[j]!], { input: nix!.stdout });
          assert.ok(store.run("silo", "nix-store", ["--dump", copies[j]!]).stdout.equals(nix!.stdout), copies[j]!);
        }
        assert.equal(listing(copies[1]!), listing(copies[0]!));
      }
    } finally {
      store.remove();
    }
  });

  test("export and import, in both directions", () => {
    withTempStores(["chroot", "chroot", "chroot", "chroot"], (...stores) => {
      const [source, ...targets] = stores;
      const files = makeTrees(join(source!.dir, "trees"), 40);
      const paths = source!
        .output("nix", ["--add", ...files])
        .trim()
        .split("\n");
      // References, and references to themselves, as builds leave them.
      paths.slice(1).forEach((path, i) => {
        const ids = [path, paths[i]!].map((each) => `(select id from ValidPaths where path = '${each}')`);
        source!.rows(`insert or ignore into Refs values (${ids[0]}, ${ids[1]})`);
        if (i % 4 === 0) source!.rows(`insert or ignore into Refs values (${ids[0]}, ${ids[0]})`);
      });
      const stream = source!.run("nix", "nix-store", ["--export", ...paths]).stdout;
      assert.ok(source!.run("silo", "nix-store", ["--export", ...paths]).stdout.equals(stream));
      assert.ok(
        source!.run("silo", "nix-store", ["--export", ...[...paths].reverse(), paths[0]!]).stdout.equals(stream),
      );

      const printed = targets.map((target, i) =>
        target.output(i === 0 ? "nix" : "silo", ["--import"], { input: stream }),
      );
      assert.equal(printed[1], printed[0]);
      assert.deepEqual(databaseContents(targets[1]!), databaseContents(targets[0]!));
      assert.equal(treeListing(targets[1]!), treeListing(targets[0]!));
      // Once more, into stores that have everything.
      assert.equal(targets[1]!.output("silo", ["--import"], { input: stream }), printed[0]);
      assert.equal(targets[0]!.output("silo", ["--import"], { input: stream }), printed[0]);
      targets[1]!.output("nix", ["--verify", "--check-contents"]);
      const again = targets[1]!.run("nix", "nix-store", ["--export", ...paths]).stdout;
      assert.ok(again.equals(stream));
    });
  });

  test("signed exports: the signature is openssl's, and is asked for", (context) => {
    if (spawnSync("openssl", ["version"]).error !== undefined) {
      if (process.env["SILO_REQUIRE_PEERS"] === "1") assert.fail("openssl is not installed");
      return context.skip("openssl is not installed");
    }
    withTempStores(["chroot", "chroot"], (source, target) => {
      const conf = join(source!.dir, "conf");
      const secret = join(conf, "signing-key.sec");
      spawnSync("openssl", ["genrsa", "-out", secret, "2048"]);
      spawnSync("openssl", ["rsa", "-in", secret, "-pubout", "-out", join(target!.dir, "conf/signing-key.pub")]);
      writeFileSync(join(source!.dir, "file"), "a text");
      const path = source!.output("silo", ["--add", "file"]).trim();
      spawnSync("chmod", ["644", secret]);
      const refused = source!.run("silo", "nix-store", ["--export", "--sign", path]);
      assert.equal(refused.status, 1);
      assert.equal(refused.stderr, `error: file '${secret}' should be secret (inaccessible to everybody else)!\n`);
      assert.equal(refused.stdout.length, 0);
      spawnSync("chmod", ["600", secret]);
      const signed = source!.run("silo", "nix-store", ["--export", "--sign", path]).stdout;
      const unsigned = source!.run("silo", "nix-store", ["--export", path]).stdout;
      const importing = (input: Uint8Array) =>
        target!.run("silo", "nix-store", ["--import", "--require-signature"], { input });
      assert.deepEqual(importing(unsigned), {
        status: 1,
        stdout: Buffer.alloc(0),
        stderr: `error: imported archive of '${path}' lacks a signature\n`,
      });
      const changed = Buffer.from(signed);
      changed[changed.indexOf("a text")] = 0x41;
      assert.match(importing(changed).stderr, /^error: signed hash doesn't match actual contents of imported archive/);
      assert.equal(target!.output("silo", ["--dump-db"]), "");
      assert.equal(importing(signed).stdout.toString(), `${path}\n`);
      // Nix 2 passes over the signature.
      assert.equal(target!.output("nix", ["--import"], { input: signed }), `${path}\n`);
    });
  });

  test("optimise, keys, and failed paths that Nix 1 left", () => {
    const store = createTempStore();
    try {
      const tree = join(store.dir, "tree");
      mkdirSync(tree);
      for (const name of ["a", "b", "c"]) writeFileSync(join(tree, name), "the same contents");
      const path = store.output("silo", ["--add", tree]).trim();
      const optimised = store.run("silo", "nix-store", ["--optimise"]);
      assert.deepEqual([optimised.status, optimised.stdout.length], [0, 0]);
      assert.equal(optimised.stderr, "0.00 MiB freed by hard-linking 2 files\n");
      assert.equal(lstatSync(join(path, "a")).ino, lstatSync(join(path, "c")).ino);
      assert.equal(store.run("nix", "nix-store", ["--optimise"]).stderr, "0.00 MiB freed by hard-linking 0 files\n");
      store.output("nix", ["--verify", "--check-contents"]);

      store.output("silo", ["--generate-binary-cache-key", "test-1", "secret", "public"]);
      assert.match(readFileSync(join(store.dir, "public"), "latin1"), /^test-1:[A-Za-z0-9+/]{43}=$/);
      assert.equal(lstatSync(join(store.dir, "secret")).mode & 0o777, 0o600);
      const signing = ["--extra-experimental-features", "nix-command", "store", "sign", "-k", "secret", path];
      assert.equal(store.run("nix", "nix", signing).status, 0);

      store.rows("create table FailedPaths (path text primary key not null, time integer not null)");
      const failed = ["x", "y"].map((name) => `${store.storeDir}/${"0".repeat(32)}-${name}`);
      for (const each of failed) store.rows(`insert into FailedPaths values ('${each}', 1)`);
      const remaining = () => store.output("silo", ["--query-failed-paths"]);
      assert.equal(remaining(), failed.map((each) => `${each}\n`).join(""));
      store.output("silo", ["--clear-failed-paths", failed[0]!]);
      assert.equal(remaining(), `${failed[1]}\n`);
      store.output("silo", ["--clear-failed-paths", "*"]);
      assert.equal(remaining(), "");
    } finally {
      store.remove();
    }
  });

  test("roots", () => {
    const store = createTempStore();
    try {
      writeFileSync(join(store.dir, "file"), "contents");
      const path = store.output("silo", ["--add", "file"]).trim();
      const args = ["-q", "-f", "--add-root", "result", "--indirect", "--hash", path, path];
      const [nix, silo] = makers.map((maker) => {
        const out = store.output(maker, args);
        const roots = readdirSync(join(store.stateDir, "gcroots/auto")).sort();
        const links = ["result", "result-2"].map((name) => readLink(join(store.dir, name)));
        spawnSync("rm", [
          "-r",
          join(store.stateDir, "gcroots/auto"),
          join(store.dir, "result"),
          join(store.dir, "result-2"),
        ]);
        return { out, roots, links };
      });
      assert.deepEqual(silo, nix);
    } finally {
      store.remove();
    }
  });
});

function readLink(path: string): string {
  return spawnSync("readlink", [path]).stdout.toString("latin1");
}

/** Names, types, modes, times, owners and link targets of everything in the store. */
function treeListing(store: TempStore): string {
  return listing(store.storeDir === "/nix/store" ? join(store.dir, "root/nix/store") : store.storeDir, "%T@ %U %G");
}

function listing(dir: string, more = ""): string {
  const format = `%P %y %m %l ${more}\\0`;
  const { stdout } = spawnSync("find", [
    dir,
    "-mindepth",
    "0",
    "-name",
    ".links",
    "-prune",
    "-o",
    "-not",
    "-path",
    dir,
    "-printf",
    format,
  ]);
  return stdout
    .toString("latin1")
    .split("\0")
    .filter((line) => !/^[^/]*\.lock /.test(line))
    .sort()
    .join("\n");
}
