/** Temporary roots: the file that collectors read, and what a running collector is told. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { describe, test } from "node:test";
import { addText } from "../../src/store/add.ts";
import { tempRoots } from "../../src/store/temp-roots.ts";
import { close, O_RDWR, open, writeAll } from "../../src/sys/descriptor.ts";
import { openLockFile, tryLock, unlock } from "../../src/sys/file-lock.ts";
import { fakePath } from "../support/fake-paths.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const rootsFile = ({ dir }: StoreFixture, pid = process.pid) => `${dir}/state/temproots/${pid}`;

function prepared(fixture: StoreFixture): string {
  mkdirSync(`${fixture.dir}/state/temproots`, { recursive: true });
  return `${fixture.dir}/state`;
}

describe("the file", () => {
  test("holds each path once, ended by a NUL, and goes with its owner", () => {
    withStoreFixture((fixture) => {
      const roots = tempRoots(prepared(fixture));
      assert(!existsSync(rootsFile(fixture)));
      roots.add([]);
      assert(!existsSync(rootsFile(fixture)));
      roots.add(["/nix/store/a", "/nix/store/b", "/nix/store/a"]);
      roots.add(["/nix/store/b", "/nix/store/c"]);
      assert.equal(readFileSync(rootsFile(fixture), "latin1"), "/nix/store/a\0/nix/store/b\0/nix/store/c\0");
      roots.close();
      assert(!existsSync(rootsFile(fixture)));
      roots.close();
      roots.add(["/nix/store/a"]);
      assert.equal(readFileSync(rootsFile(fixture), "latin1"), "/nix/store/a\0");
      roots.close();
    });
  });

  test("is locked, so that a collector knows that its owner lives", () => {
    withStoreFixture((fixture) => {
      const roots = tempRoots(prepared(fixture));
      roots.add(["/nix/store/a"]);
      const fd = open(rootsFile(fixture), O_RDWR);
      assert(!tryLock(fd, "exclusive"));
      roots.close();
      assert(tryLock(fd, "exclusive"));
      close(fd);
    });
  });

  test("of a dead process with the same number is replaced", () => {
    withStoreFixture((fixture) => {
      prepared(fixture);
      writeFileSync(rootsFile(fixture), "/nix/store/stale\0d");
      const roots = tempRoots(`${fixture.dir}/state`);
      roots.add(["/nix/store/a"]);
      assert.equal(readFileSync(rootsFile(fixture), "latin1"), "/nix/store/a\0");
      roots.close();
    });
  });
});

describe("while a collector runs", () => {
  /** The collector's side of the protocol, which answers what `answer` says to each line. */
  async function startCollector(stateDir: string, answer: (line: string) => string | "hang-up"): Promise<Collector> {
    mkdirSync(`${stateDir}/gc-socket`, { recursive: true });
    const lock = openLockFile(`${stateDir}/gc.lock`);
    assert(tryLock(lock, "exclusive"));
    const told: string[] = [];
    const server = createServer((client) => {
      let text = "";
      client.on("error", () => {});
      client.on("data", (chunk) => {
        text += String(chunk);
        for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
          told.push(text.slice(0, end));
          text = text.slice(end + 1);
          const said = answer(told[told.length - 1]!);
          if (said === "hang-up") client.destroy();
          else client.write(said);
        }
      });
    });
    await new Promise<void>((listening) => server.listen(`${stateDir}/gc-socket/socket`, listening));
    return {
      told,
      server,
      end() {
        unlock(lock);
        close(lock);
      },
    };
  }

  interface Collector {
    readonly told: string[];
    readonly server: Server;
    end(): void;
  }

  /** Our blocking client cannot talk to a server of the same thread: it is another process. */
  async function addRoot(fixture: StoreFixture, paths: readonly string[]): Promise<number> {
    const child = fixture.startSilo(["hold-temp-root", ...paths]);
    const held = new Promise<void>((resolve) => child.stdout!.once("data", () => resolve()));
    await held;
    assert.equal(readFileSync(rootsFile(fixture, child.pid!), "latin1"), paths.map((path) => `${path}\0`).join(""));
    child.stdin!.end();
    return new Promise((exited) => child.on("exit", (status) => exited(status ?? -1)));
  }

  test("it is told every root, and has to confirm each", async () => {
    await withStoreFixture(async (fixture) => {
      fixture.open();
      const collector = await startCollector(`${fixture.dir}/state`, () => "1");
      const paths = ["a", "b", "c"].map((name) => `${fixture.storeDir}/${fakePath(name)}`);
      assert.equal(await addRoot(fixture, paths), 0);
      assert.deepEqual(collector.told, paths);
      collector.end();
      collector.server.close();
    });
  });

  test("when it hangs up all is tried again, until it is over", async () => {
    await withStoreFixture(async (fixture) => {
      fixture.open();
      const collector = await startCollector(`${fixture.dir}/state`, () => {
        if (collector.told.length === 4) collector.end();
        return collector.told.length % 2 === 0 ? "hang-up" : "1";
      });
      const paths = ["a", "b"].map((name) => `${fixture.storeDir}/${fakePath(name)}`);
      assert.equal(await addRoot(fixture, paths), 0);
      assert.deepEqual(collector.told, [...paths, ...paths]);
      collector.server.close();
    });
  });
});

describe("stock Nix's collector", { skip: skipWithoutNix }, () => {
  test("keeps the roots of processes that live, and those only", () => {
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const path = addText(store, "a", Buffer.from("a"), []);
      fixture.nix(["--gc"]);
      assert(existsSync(`${fixture.storeDir}/${path}`));
      // A process that was killed.
      const child = fixture.startSilo(["hold-temp-root", `${fixture.storeDir}/${path}`]);
      child.kill("SIGKILL");
      store.close();
      fixture.nix(["--gc"]);
      assert(!existsSync(`${fixture.storeDir}/${path}`));
      assert.deepEqual(readdirSync(`${fixture.dir}/state/temproots`), []);
    });
  });

  test("while it runs is told of new ones, and keeps them", async () => {
    await withStoreFixture(async (fixture) => {
      const store = fixture.open();
      // The collector waits where _NIX_TEST_GC_SYNC says, after it has read the roots: a pipe that we open.
      const fifo = `${fixture.dir}/sync`;
      spawnSync("mkfifo", [fifo]);
      const kept = addText(store, "kept", Buffer.from("kept"), []);
      const lost = addText(store, "lost", Buffer.from("lost"), []);
      store.close();
      const collector = spawn("nix-store", ["--gc"], {
        env: { ...fixture.env, _NIX_TEST_GC_SYNC: fifo },
        stdio: "ignore",
      });
      const done = new Promise((exited) => collector.on("exit", exited));
      const gcLock = openLockFile(`${fixture.dir}/state/gc.lock`);
      while (tryLock(gcLock, "shared")) {
        unlock(gcLock);
        await new Promise((next) => setImmediate(next));
      }
      while (!existsSync(`${fixture.dir}/state/gc-socket/socket`)) await new Promise((next) => setImmediate(next));
      const user = fixture.startSilo(["hold-temp-root", `${fixture.storeDir}/${kept}`]);
      await new Promise((held) => user.stdout!.once("data", held));
      const fd = open(fifo, O_RDWR);
      writeAll(fd, Buffer.from("go\n"));
      close(fd);
      assert.equal(await done, 0);
      close(gcLock);
      assert(existsSync(`${fixture.storeDir}/${kept}`));
      assert(!existsSync(`${fixture.storeDir}/${lost}`));
      user.stdin!.end();
      await new Promise((exited) => user.on("exit", exited));
    });
  });
});
