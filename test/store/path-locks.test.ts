/** Locks on store paths: between processes, and with files that their holder has deleted. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { addPath, recursiveSha256 } from "../../src/store/add.ts";
import { isLockedByUs, lockPaths, tryLockPaths } from "../../src/store/path-locks.ts";
import { close, writeAll } from "../../src/sys/descriptor.ts";
import { openLockFile, tryLock, unlock } from "../../src/sys/file-lock.ts";
import { unlink } from "../../src/sys/names.ts";
import { fakePath } from "../support/fake-paths.ts";
import { printedPath, type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const never = () => assert.fail("nothing to wait for");

describe("within a process", () => {
  test("locks are exclusive, and their files go when asked", () => {
    withStoreFixture(({ dir }) => {
      const [a, b] = [`${dir}/a`, `${dir}/b`];
      const locks = lockPaths([b, a, b], never);
      assert(existsSync(`${a}.lock`) && existsSync(`${b}.lock`));
      assert(isLockedByUs(a));
      assert.equal(tryLockPaths([`${dir}/c`, a]), undefined);
      assert(!isLockedByUs(`${dir}/c`));
      assert.throws(() => lockPaths([a], never), /already holds the lock/);
      locks.release("keep");
      assert(existsSync(`${a}.lock`) && !isLockedByUs(a));
      const again = tryLockPaths([a, b]);
      assert(again !== undefined);
      again.release("delete");
      assert(!existsSync(`${a}.lock`) && !existsSync(`${b}.lock`));
      again.release("delete");
    });
  });

  test("what another holds is not taken, and nothing is kept of the attempt", () => {
    withStoreFixture(({ dir }) => {
      const [a, b] = [`${dir}/a`, `${dir}/b`];
      const other = openLockFile(`${b}.lock`);
      assert(tryLock(other, "exclusive"));
      assert.equal(tryLockPaths([a, b]), undefined);
      assert(!isLockedByUs(a));
      unlock(other);
      lockPaths([a, b], never).release("delete");
      close(other);
    });
  });
});

describe("a deleted lock file", () => {
  /** Locks `path` in another process while `holder`, a descriptor of ours, has the lock; resolves when that waits. */
  async function startWaiter(fixture: StoreFixture, file: string): Promise<ChildProcess> {
    const waiter = fixture.startSilo(["hold-path-lock", file]);
    await waitsForFlock(waiter);
    return waiter;
  }

  for (const marker of ["marked", "unmarked"] as const) {
    test(`${marker} is no lock: who waited for it opens a new one`, async () => {
      await withStoreFixture(async (fixture) => {
        fixture.open();
        const path = `${fixture.storeDir}/${fakePath("a")}`;
        const fd = openLockFile(`${path}.lock`);
        assert(tryLock(fd, "exclusive"));
        const waiter = await startWaiter(fixture, path);
        unlink(`${path}.lock`);
        // A full disk keeps the holder from writing the marker.
        if (marker === "marked") writeAll(fd, Buffer.from("d"));
        close(fd);
        await printed(waiter, "held");
        assert.equal(tryLockPaths([path]), undefined);
        waiter.stdin!.end();
        await exitOf(waiter);
        lockPaths([path], never).release("delete");
      });
    });
  }
});

/** Resolves when a process sleeps in flock(2), which /proc tells. */
async function waitsForFlock({ pid }: ChildProcess): Promise<void> {
  for (;;) {
    // "-> FLOCK" lines of /proc/locks are those that wait.
    const waiting = readFileSync("/proc/locks", "latin1")
      .split("\n")
      .some((line) => line.includes("-> FLOCK") && line.includes(` ${pid} `));
    if (waiting) return;
    await new Promise((next) => setImmediate(next));
  }
}

function printed(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    child.stdout!.on("data", (chunk) => {
      output += String(chunk);
      if (output.includes(text)) resolve();
    });
    child.on("exit", () => reject(new Error(`ended before it printed ${text}: ${output}`)));
  });
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return child.exitCode !== null ? Promise.resolve(child.exitCode) : new Promise((done) => child.on("exit", done));
}

describe("adding a path that another process has locked", () => {
  test("waits, and says so", async () => {
    await withStoreFixture(async (fixture) => {
      writeFileSync(`${fixture.dir}/a`, "a");
      const store = fixture.open();
      const path = addPath(store, `${fixture.dir}/a`, { name: "a", method: recursiveSha256 });
      const full = `${fixture.storeDir}/${path}`;
      store.close();
      fixture.execute("delete from ValidPaths");
      const fd = openLockFile(`${full}.lock`);
      assert(tryLock(fd, "exclusive"));
      const adder = fixture.startSilo(["add", `${fixture.dir}/a`]);
      await waitsForFlock(adder);
      close(fd);
      assert.equal(await exitOf(adder), 0);
      assert(!existsSync(`${full}.lock`));
    });
  });

  test("stock Nix waits for us", { skip: skipWithoutNix }, async () => {
    await withStoreFixture(async (fixture) => {
      writeFileSync(`${fixture.dir}/a`, "a");
      const full = `${fixture.storeDir}/${printedPath(fixture, fixture.nix(["--add", `${fixture.dir}/a`]))}`;
      fixture.execute("delete from ValidPaths");
      const locks = lockPaths([full], never);
      const adder = spawn("nix-store", ["--add", `${fixture.dir}/a`], { env: fixture.env, stdio: "ignore" });
      await waitsForFlock(adder);
      locks.release("delete");
      assert.equal(await exitOf(adder), 0);
    });
  });

  test("does not wait when its parent holds the lock for it", () => {
    withStoreFixture((fixture) => {
      writeFileSync(`${fixture.dir}/a`, "a");
      const full = `${fixture.storeDir}/${printedPath(fixture, fixture.silo(["add", `${fixture.dir}/a`]))}`;
      fixture.execute("delete from ValidPaths");
      const fd = openLockFile(`${full}.lock`);
      assert(tryLock(fd, "exclusive"));
      fixture.env["NIX_HELD_LOCKS"] = `/elsewhere ${full}`;
      fixture.silo(["add", `${fixture.dir}/a`]);
      close(fd);
    });
  });
});
