/**
 * Failures that no disk gives on demand: a full file system, and each system call of an operation failing in its turn. The
 * operation ends with an error in one line, nothing half done is valid, and it succeeds when the fault is gone.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { addPath, recursiveSha256 } from "../../src/store/add.ts";
import { queryAllValidPaths } from "../../src/store/queries.ts";
import { verifyStore } from "../../src/store/verify.ts";
import { createStoreFixture, driverCommand, type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";
import { skipWithout, skipWithoutNix } from "../support/stock-nix.ts";

const isRoot = process.geteuid?.() === 0;

/** Verifies by opening anew, so that the database is read from disk. */
function checkGood(fixture: StoreFixture): string[] {
  const store = fixture.open();
  assert.equal(
    verifyStore(store, { contents: "hash-contents", repair: undefined }),
    "good",
    fixture.messages.join("\n"),
  );
  const valid = queryAllValidPaths(store);
  store.close();
  return valid;
}

describe("a full disk", { skip: isRoot ? skipWithoutNix : "needs root" }, () => {
  /** Runs on a file system of 24 MiB. */
  function onSmallDisk(use: (fixture: StoreFixture) => void): void {
    const mount = mkdtempSync(join(realpathSync(tmpdir()), "silo-small-"));
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", mount]);
    if (mounted.status !== 0) return rmSync(mount, { recursive: true }); // not allowed in this container
    try {
      const fixture = createStoreFixture(mount);
      use(fixture);
      fixture.remove();
    } finally {
      spawnSync("umount", ["-l", mount]);
      rmSync(mount, { recursive: true });
    }
  }

  for (const name of ["one large file", "many small files"] as const) {
    test(`while adding ${name}: an error, nothing left, nothing lost`, () => {
      onSmallDisk((fixture) => {
        const source = mkdtempSync(join(realpathSync(tmpdir()), "silo-source-"));
        writeFileSync(`${source}/kept`, "kept");
        const kept = fixture.open([["gc-reserved-space", "65536"]]);
        const path = addPath(kept, `${source}/kept`, { name: "kept", method: recursiveSha256 });
        kept.close();
        mkdirSync(`${source}/big`);
        if (name === "one large file") writeFileSync(`${source}/big/file`, Buffer.alloc(40 << 20, "x"));
        else for (let i = 0; i < 8000; i++) writeFileSync(`${source}/big/f${i}`, `${i}`.repeat(900));
        const store = fixture.open([["gc-reserved-space", "65536"]]);
        assert.throws(
          () => addPath(store, `${source}/big`, { name: "big", method: recursiveSha256 }),
          /No space left on device|disk is full/,
        );
        store.close();
        assert.deepEqual(checkGood(fixture), [path]);
        assert.deepEqual(readdirSync(fixture.storeDir).sort(), [".links", path].sort());
        assert.equal(String(fixture.nix(["--verify", "--check-contents"])), "");
        rmSync(source, { recursive: true });
      });
    });
  }
});

describe("a system call that fails", { skip: skipWithout("strace", "-V") || skipWithoutNix }, () => {
  /** Runs the driver with the `nth` call of this name failing. */
  function runWithFault(fixture: StoreFixture, args: readonly string[], call: string, error: string, nth: number) {
    const trace = `${fixture.dir}/trace`;
    const inject = `inject=${call}:error=${error}:when=${nth}`;
    const { status, stderr } = spawnSync(
      "strace",
      ["-f", "-qq", "-o", trace, "-e", `trace=${call}`, "-e", inject, ...driverCommand(args)],
      { env: fixture.env },
    );
    return { status, stderr: String(stderr) };
  }

  const faults: readonly (readonly [call: string, error: string])[] = [
    ["mkdirat", "EIO"],
    ["renameat", "EIO"],
    ["linkat", "EIO"],
    ["symlinkat", "ENOSPC"],
    ["fchmod", "EIO"],
    ["utimensat", "EIO"],
    ["flock", "ENOLCK"],
    ["fdatasync", "EIO"],
    ["pwrite64", "ENOSPC"],
    ["pwrite64", "EIO"],
  ];

  for (const [call, error] of faults) {
    test(`${call} with ${error}, each time it is made while adding`, () => {
      withStoreFixture((fixture) => {
        fixture.open().close();
        mkdirSync(`${fixture.dir}/x`);
        for (const name of ["a", "b"]) writeFileSync(`${fixture.dir}/x/${name}`, "the same");
        spawnSync("ln", ["-s", "a", `${fixture.dir}/x/l`]);
        writeFileSync(`${fixture.dir}/conf/nix.conf`, "build-users-group =\nauto-optimise-store = true\n");
        const rounds = process.env["SILO_LONG"] === "1" ? 60 : 4;
        for (let nth = 1; nth <= rounds; nth++) {
          writeFileSync(`${fixture.dir}/x/own`, `${call} ${error} ${nth}`);
          const { status, stderr } = runWithFault(fixture, ["add", `${fixture.dir}/x`], call, error, nth);
          assert(!/^\s+at /m.test(stderr) && !/bug/.test(stderr), stderr);
          if (status !== 0) assert.match(stderr, /^error: .+$/m);
          checkGood(fixture);
          fixture.silo(["add", `${fixture.dir}/x`]);
        }
        assert.equal(checkGood(fixture).length, rounds);
        assert.equal(String(fixture.nix(["--verify", "--check-contents"])), "");
        assert.deepEqual(readdirSync(`${fixture.dir}/state/temproots`), []);
      });
    });
  }
});
