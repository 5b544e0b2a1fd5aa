/** The daemon as a process: its socket, signals, limits, and what it makes of stores that come and go. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { once } from "node:events";
import { describe, test } from "node:test";
import { encodeNar } from "../../src/formats/nar/tree.ts";
import { WireWriter } from "../../src/formats/wire.ts";
import { encodeFrameHeader } from "../../src/formats/worker-protocol/framed.ts";
import { close, read, writeAll } from "../../src/sys/descriptor.ts";
import { poll } from "../../src/sys/poll.ts";
import { connectUnix } from "../../src/sys/unix-socket.ts";
import { greeting } from "../support/daemon-conversation.ts";
import { answers, type RunningDaemon, settledDatabase, startDaemon, withDaemon } from "../support/running-daemon.ts";
import { siloProgram } from "../support/silo-binary.ts";
import { createTempStore, type TempStore } from "../support/temp-store.ts";

const remote = { env: { NIX_REMOTE: "daemon" } };

async function withStore(use: (store: TempStore) => Promise<void>): Promise<void> {
  const store = createTempStore();
  try {
    await use(store);
  } finally {
    store.remove();
  }
}

function addHello(store: TempStore, name = "hello"): string {
  writeFileSync(`${store.dir}/${name}`, "hello\n");
  return store.output("silo", ["--add", `${store.dir}/${name}`], remote).trim();
}

/** Processes whose environment names the store's directory. */
function processesOf(store: TempStore): number[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`NIX_STATE_DIR=${store.stateDir}\0`);
      } catch {
        return false; // it has ended
      }
    })
    .map(Number);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Nobody is served any more: the daemon is left, and two processes that wait for the next client. */
async function idle(store: TempStore, { process: { pid } }: RunningDaemon): Promise<void> {
  await until(() => processesOf(store).filter((each) => each !== pid).length === 2);
}

/** A client that greets, and what it hears until the server closes. */
async function hear(socket: string, minor = 34): Promise<string> {
  const connection = createConnection(socket);
  connection.write(greeting(minor));
  connection.end();
  const parts: Buffer[] = [];
  connection.on("data", (part: Buffer) => parts.push(part));
  connection.on("error", () => {});
  await once(connection, "close");
  return Buffer.concat(parts).toString("latin1");
}

/** Hangs up when the server waits for a request, without having read its last word: that is no end of file for the server, but an error. */
function leaveWithoutReading(socket: string): void {
  const fd = connectUnix(socket);
  writeAll(fd, greeting(34));
  const versions = 16 + 16; // bytes
  for (let left = versions; left > 0; left--) assert.equal(read(fd, Buffer.alloc(1)), 1);
  poll([{ fd, wait: "readable" }]);
  close(fd);
}

async function connected(socket: string): Promise<Socket> {
  const connection = createConnection(socket);
  connection.on("error", () => {});
  connection.write(greeting(34));
  await once(connection, "data");
  return connection;
}

describe("the socket", () => {
  test("is for everybody, in a directory that everybody may enter; SIGTERM removes it and leaves no process", () =>
    withStore(async (store) => {
      const daemon = await startDaemon("silo", store);
      const modes = [daemon.socket, `${store.stateDir}/daemon-socket`].map((path) => statSync(path).mode & 0o7777);
      assert.deepEqual(modes, [0o666, 0o755]);
      addHello(store);
      assert.equal(await daemon.stop("SIGTERM"), 0);
      assert.equal(existsSync(daemon.socket), false);
      await until(() => processesOf(store).length === 0);
    }));

  test("of a killed daemon is replaced, of a living one not", () =>
    withStore(async (store) => {
      const first = await startDaemon("silo", store);
      const second = store.run("silo", "nix-daemon", []);
      assert.notEqual(second.status, 0);
      assert.match(second.stderr, /another daemon/);
      assert.equal(await answers(first.socket), true);
      await first.stop("SIGKILL");
      await until(() => processesOf(store).length === 0);
      assert.equal(existsSync(first.socket), true);
      await withDaemon("silo", store, async () => void addHello(store));
    }));

  test("may have a long path, and be named by NIX_DAEMON_SOCKET_PATH or unix://", () =>
    withStore(async (store) => {
      const directory = `${store.dir}/${"long/".repeat(60)}`;
      mkdirSync(directory, { recursive: true });
      const socket = `${directory}socket`;
      const env = { NIX_DAEMON_SOCKET_PATH: socket };
      const daemon = spawn(siloProgram("nix-daemon"), [], { env: { ...store.env, ...env }, stdio: "inherit" });
      try {
        await until(() => existsSync(socket));
        writeFileSync(`${store.dir}/x`, "x");
        const args = ["--add", `${store.dir}/x`];
        const one = store.output("silo", args, { env: { ...env, NIX_REMOTE: "daemon" } });
        const two = store.output("silo", args, { env: { NIX_REMOTE: `unix://${socket}` } });
        const three = store.output("silo", ["--store", `unix://${socket}`, ...args]);
        assert.deepEqual([two, three], [one, one]);
      } finally {
        daemon.kill();
        await once(daemon, "exit");
      }
    }));

  test("is made again when its directory was wiped with the store, while clients go on", () =>
    withStore(async (store) => {
      await withDaemon("silo", store, async (daemon) => {
        const path = addHello(store);
        await idle(store, daemon);
        rmSync(store.stateDir, { recursive: true });
        spawnSync("chmod", ["-R", "u+w", store.storeDir]);
        rmSync(store.storeDir, { recursive: true });
        await daemon.waitForLog(/made it again/);
        assert.equal(addHello(store), path);
        assert.equal((await settledDatabase(store))["paths"]?.length, 1);
      });
    }));

  test("of systemd is used and left", () =>
    withStore(async (store) => {
      mkdirSync(`${store.stateDir}/daemon-socket`, { recursive: true });
      const socket = `${store.stateDir}/daemon-socket/socket`;
      const script = `
        import os, socket, sys
        s = socket.socket(socket.AF_UNIX); s.bind(${JSON.stringify(socket)}); s.listen(10)
        if s.fileno() != 3: os.dup2(s.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ["LISTEN_FDS"] = "1"; os.environ["LISTEN_PID"] = str(os.getpid())
        os.execv(${JSON.stringify(siloProgram("nix-daemon"))}, ["nix-daemon"])`;
      const daemon = spawn("python3", ["-c", script.replaceAll(/^ {8}/gm, "")], {
        env: store.env,
        stdio: ["ignore", "inherit", "ignore"],
      });
      try {
        await until(() => existsSync(socket));
        addHello(store);
      } finally {
        daemon.kill();
        await once(daemon, "exit");
      }
      assert.equal(existsSync(socket), true);
    }));
});

describe("who connects", () => {
  test("is logged, finds directories of its own, and hears the version", () =>
    withStore(async (store) => {
      await withDaemon("silo", store, async (daemon) => {
        addHello(store);
        await daemon.waitForLog(/accepted connection from pid [0-9]+, user root \(trusted\)/);
        leaveWithoutReading(daemon.socket);
        await daemon.waitForLog(/^pid [0-9]+, user root: the client has disconnected$/m);
        for (const kind of ["profiles", "gcroots"]) {
          const { mode, uid } = statSync(`${store.stateDir}/${kind}/per-user/root`);
          assert.deepEqual([mode & 0o7777, uid], [0o755, 0]);
        }
        assert.match(await hear(daemon.socket), /2\.18\.0/);
        const direct = store.run("silo", "nix-store", ["-q", "--hash", "/nowhere"], remote);
        assert.equal(direct.status, 1);
      });
    }));

  test("is decided by nix.conf, which SIGHUP reads again; a broken one changes nothing", () =>
    withStore(async (store) => {
      const conf = `${store.dir}/conf/nix.conf`;
      const base = readFileSync(conf, "utf8");
      await withDaemon("silo", store, async (daemon) => {
        const reload = async (text: string, expected: RegExp) => {
          writeFileSync(conf, text);
          daemon.process.kill("SIGHUP");
          await daemon.waitForLog(expected);
        };
        addHello(store);
        await reload(`${base}trusted-users =\nallowed-users = nobody\n`, /read the settings again/);
        const refused = store.run("silo", "nix-store", ["--add", conf], remote);
        assert.equal(refused.status, 1);
        assert.match(refused.stderr, /user 'root' is not allowed to connect/);
        await daemon.waitForLog(/refused connection from pid [0-9]+, user root/);
        await reload("this is no setting\n", /keeping the settings as they were/);
        assert.equal(store.run("silo", "nix-store", ["--add", conf], remote).status, 1);
        await reload(base, /read the settings again[\s\S]*read the settings again/);
        addHello(store, "again");
      });
    }));

  test("is refused clearly when there are too many, except who is trusted", () =>
    withStore(async (store) => {
      writeFileSync(`${store.dir}/conf/nix.conf`, "build-users-group =\ntrusted-users =\n");
      const options = { args: ["--max-clients", "2"] };
      await withDaemon(
        "silo",
        store,
        async (daemon) => {
          const held = [await connected(daemon.socket), await connected(daemon.socket)];
          assert.match(await hear(daemon.socket), /too many clients: the daemon serves at most 2 at once/);
          const refused = store.run("silo", "nix-store", ["--add", store.dir], remote);
          assert.match(refused.stderr, /too many clients/);
          for (const connection of held) connection.destroy();
          const conf = `${store.dir}/conf`;
          await until(() => store.run("silo", "nix-store", ["--add", conf], remote).status === 0);
        },
        options,
      );
    }));

  test("takes no place from others once it is refused", () =>
    withStore(async (store) => {
      const conf = `${store.dir}/conf/nix.conf`;
      writeFileSync(conf, "build-users-group =\ntrusted-users =\nallowed-users = nobody\n");
      const options = { args: ["--max-clients", "2"] };
      await withDaemon(
        "silo",
        store,
        async (daemon) => {
          const refused = Array.from({ length: 40 }, () => createConnection(daemon.socket));
          for (const connection of refused) connection.on("error", () => {}).write(greeting(34));
          await daemon.waitForLog(/(refused connection[^\n]*\n[\s\S]*?){40}/);
          writeFileSync(conf, "build-users-group =\ntrusted-users =\n");
          daemon.process.kill("SIGHUP");
          await daemon.waitForLog(/read the settings again/);
          addHello(store);
          for (const connection of refused) connection.destroy();
          await idle(store, daemon);
        },
        options,
      );
    }));

  test("hurts only itself by being slow, silent, or gone", () =>
    withStore(async (store) => {
      await withDaemon("silo", store, async (daemon) => {
        const silent = createConnection(daemon.socket);
        const half = createConnection(daemon.socket);
        half.write(greeting(34).subarray(0, 11));
        const vast = await connected(daemon.socket);
        vast.write(Buffer.from("0100000000000000ffffffffffffff0f", "hex"));
        const gone = createConnection(daemon.socket);
        gone.on("connect", () => gone.destroy());
        const halfway = await connected(daemon.socket);
        halfway.write(halfOfAnAddition());
        addHello(store);
        await until(() => readdirSync(store.storeDir).some((name) => name.includes("-silo-")));
        for (const connection of [silent, half, vast, halfway]) connection.destroy();
        await idle(store, daemon);
        assert.deepEqual(readdirSync(`${store.stateDir}/temproots`), []);
        assert.deepEqual(
          readdirSync(store.storeDir).filter((name) => name.includes("-silo-")),
          [],
        );
      });
    }));
});

/** A request to add a large file, up to its middle: more than the server keeps in memory. */
function halfOfAnAddition(): Buffer {
  const size = 24 * 1024 * 1024;
  const nar = encodeNar({ kind: "regular", contents: Buffer.alloc(size, "x") }).subarray(0, size / 2);
  const head = new WireWriter().u64(7).string("large").string("fixed:r:sha256").u64(0).u64(0);
  return Buffer.concat([head.take(), encodeFrameHeader(size), nar]);
}

describe("ways to run it", () => {
  test("on standard input and output, trusted", () =>
    withStore(async (store) => {
      const daemon = spawn(siloProgram("nix-daemon"), ["--stdio"], {
        env: store.env,
        stdio: ["pipe", "pipe", "inherit"],
      });
      daemon.stdin.end(greeting(35));
      const parts: Buffer[] = [];
      daemon.stdout.on("data", (part: Buffer) => parts.push(part));
      const [status] = (await once(daemon, "exit")) as [number];
      const output = Buffer.concat(parts);
      assert.equal(status, 0);
      assert.equal(output.readBigUInt64LE(32), 1n, "trusted");
      assert.match(output.toString("latin1"), /2\.18\.0/);
    }));

  test("in the background, ready when the command returns; as 'silo daemon', too", () =>
    withStore(async (store) => {
      const options = { env: store.env, stdio: "ignore" } as const;
      const started = spawnSync(siloProgram("silo"), ["daemon", "--background"], options);
      try {
        assert.equal(started.status, 0);
        addHello(store);
      } finally {
        for (const pid of processesOf(store)) tryKill(pid);
        await until(() => processesOf(store).length === 0);
      }
    }));

  test("on --stdio in front of another daemon, which decides about trust", () =>
    withStore(async (store) => {
      await withDaemon("silo", store, async () => {
        const spliced = spawnSync(siloProgram("nix-daemon"), ["--stdio"], {
          env: { ...store.env, NIX_REMOTE: "daemon" },
          input: greeting(35),
        });
        assert.equal(spliced.status, 0);
        assert.equal(spliced.stdout.readBigUInt64LE(32), 1n);
      });
    }));
});

function tryKill(pid: number): void {
  try {
    process.kill(pid);
  } catch {
    // It has ended.
  }
}
