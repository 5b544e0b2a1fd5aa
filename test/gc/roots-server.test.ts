import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, statSync, writeFileSync, writeSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { startRootsServer } from "../../src/gc/roots-server.ts";
import { addText } from "../../src/store/add.ts";
import type { StorePath } from "../../src/formats/store-path.ts";
import { queryAllValidPaths } from "../../src/store/queries.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";
import { gcDriver } from "../support/gc-driver.ts";
import { driverCommand, type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";

/** A collection that holds its lock, waits while it finds roots, and ends when told to. */
interface StoppedCollection {
  readonly child: ChildProcess;
  /** Lets it go on, and returns its output. */
  finish(): Promise<string>;
}

async function stopCollection(fixture: StoreFixture, args: readonly string[]): Promise<StoppedCollection> {
  const [started, resume, finder] = ["started", "resume", "finder"].map((name) => join(fixture.dir, name));
  assert.equal(spawnSync("mkfifo", [started!, resume!]).status, 0);
  writeFileSync(finder!, `#!/bin/sh\necho >'${started}'\nread line <'${resume}'\n`, { mode: 0o755 });
  const [program, ...rest] = driverCommand([]);
  const child = spawn(program!, [...rest.slice(0, -1), gcDriver, ...args], {
    env: { ...fixture.env, NIX_ROOT_FINDER: finder! },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout!.on("data", (data) => (output += data));
  const waiting = spawn("cat", [started!]);
  await once(waiting, "exit");
  return {
    child,
    async finish() {
      const fd = openSync(resume!, "w");
      writeSync(fd, "\n");
      closeSync(fd);
      await once(child, "exit");
      spawnSync("rm", [started!, resume!]);
      return output.trim();
    },
  };
}

async function connected(fixture: StoreFixture): Promise<Socket> {
  const socket = connect(join(fixture.directories.stateDir, "gc-socket", "socket"));
  await once(socket, "connect");
  return socket;
}

function filled(fixture: StoreFixture): { readonly below: StorePath; readonly above: StorePath } {
  const store = fixture.open();
  const below = addText(store, "below", Buffer.from("below"), []);
  const above = addText(store, "above", Buffer.from("above"), [below]);
  addText(store, "other", Buffer.from("other"), []);
  store.close();
  return { below, above };
}

function valid(fixture: StoreFixture): StorePath[] {
  const store = fixture.open();
  try {
    return queryAllValidPaths(store);
  } finally {
    store.close();
  }
}

describe("a collection that runs", () => {
  test("keeps a path that a client names, and what it refers to, and answers each line", () =>
    withStoreFixture(async (fixture) => {
      const { below, above } = filled(fixture);
      const collection = await stopCollection(fixture, ["collect"]);
      assert.equal(statSync(join(fixture.directories.stateDir, "gc-socket", "socket")).mode & 0o777, 0o666);
      const client = await connected(fixture);
      let answers = "";
      client.on("data", (data) => (answers += data));
      const closed = once(client, "close");
      // In pieces, with nonsense in between: that is answered, too.
      client.write(`${fixture.storeDir}/${above}\nnonsense\n${fixture.storeDir}/${"0".repeat(32)}`);
      client.write("-not-there\n");
      assert.equal((await collection.finish()).split(" ")[0], "1");
      await closed;
      assert.equal(answers, "111");
      assert.deepEqual(valid(fixture), [above, below].sort());
    }));

  test("is not stopped by clients that say nothing, too much or leave", () =>
    withStoreFixture(async (fixture) => {
      filled(fixture);
      const collection = await stopCollection(fixture, ["collect"]);
      const [silent, endless, gone] = await Promise.all([1, 2, 3].map(() => connected(fixture)));
      for (const client of [silent, endless, gone]) client!.on("error", () => {});
      endless!.write("x".repeat(100_000));
      gone!.write("half a line");
      gone!.destroy();
      assert.equal((await collection.finish()).split(" ")[0], "3");
      silent!.destroy();
      endless!.destroy();
    }));

  test("is not stopped by clients without number, nor by some that never stop talking", () =>
    withStoreFixture(async (fixture) => {
      const { above } = filled(fixture);
      const collection = await stopCollection(fixture, ["collect"]);
      const silent = await Promise.all(Array.from({ length: 100 }, () => connected(fixture)));
      const talking = await Promise.all([1, 2, 3].map(() => connected(fixture)));
      const lines = `${fixture.storeDir}/${above}\n`.repeat(500);
      for (const client of [...silent, ...talking]) client.on("error", () => {});
      for (const client of talking) {
        client.on("data", () => client.write(lines));
        client.write(lines.repeat(20));
      }
      assert.equal((await collection.finish()).split(" ")[0], "1");
      for (const client of [...silent, ...talking]) client.destroy();
    }));

  for (const who of ["silo", "stock Nix"] as const) {
    test(`lets ${who} add a path meanwhile, and keeps it`, { skip: who === "silo" ? false : skipWithoutNix }, () =>
      withStoreFixture(async (fixture) => {
        filled(fixture);
        const collection = await stopCollection(fixture, ["collect"]);
        const source = join(fixture.dir, "new");
        writeFileSync(source, "new");
        const [program, ...args] = who === "silo" ? driverCommand(["add", source]) : ["nix-store", "--add", source];
        const adder = spawn(program!, args, { env: fixture.env, stdio: ["ignore", "pipe", "inherit"] });
        let printed = "";
        adder.stdout.on("data", (data) => (printed += data));
        const added = once(adder, "exit");
        await hasConnected(fixture);
        assert.equal((await collection.finish()).split(" ")[0], "3");
        assert.equal((await added)[0], 0);
        assert.deepEqual(valid(fixture), [printed.trim().slice(fixture.storeDir.length + 1)]);
        assert.deepEqual(
          readdirSync(fixture.storeDir).filter((name) => name !== ".links"),
          valid(fixture),
        );
      }),
    );
  }

  test("keeps another collection waiting", () =>
    withStoreFixture(async (fixture) => {
      filled(fixture);
      const first = await stopCollection(fixture, ["collect"]);
      const [program, ...rest] = driverCommand([]);
      const second = spawn(program!, [...rest.slice(0, -1), gcDriver, "collect"], { env: fixture.env });
      const ended = once(second, "exit");
      await hasConnected(fixture); // to root its trash
      assert.equal((await first.finish()).split(" ")[0], "3");
      assert.equal((await ended)[0], 0);
    }));
});

/** Waits until a process is connected to the collector's socket, or waits to be. */
async function hasConnected(fixture: StoreFixture): Promise<void> {
  const path = join(fixture.directories.stateDir, "gc-socket", "socket");
  for (;;) {
    const result = spawnSync("grep", ["-c", path, "/proc/net/unix"], { encoding: "utf8" });
    if (Number(result.stdout) > 1) return;
  }
}

test("the server takes the place of a socket that a killed collector has left", () =>
  withStoreFixture((fixture) => {
    fixture.open().close();
    const { stateDir } = fixture.directories;
    startRootsServer(stateDir, () => {}).close();
    const server = startRootsServer(stateDir, () => {});
    server.serve();
    server.close();
  }));
