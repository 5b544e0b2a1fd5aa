import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import type { ByteString } from "../../src/formats/byte-string.ts";
import { deleteTree } from "../../src/sys/delete-tree.ts";
import { listProcesses, initialEnvironment } from "../../src/sys/process-table.ts";
import { buildUser, busybox, type Case, isRoot, testStore } from "../support/sandboxed-builder.ts";

const kinds: readonly (readonly [string, Pick<Case, "isolation" | "user">])[] = [
  ["in a sandbox", { isolation: "sandbox" }],
  ["without a sandbox", { isolation: "none" }],
  ...(isRoot
    ? ([
        ["in a sandbox as a build user", { isolation: "sandbox", user: buildUser }],
        ["as a build user without a sandbox", { isolation: "none", user: buildUser }],
      ] as const)
    : []),
];

const driver = `${import.meta.dirname}/../support/sandbox-driver.ts`;

/** Processes that carry a word in their environment. */
function marked(word: string): number[] {
  return listProcesses().filter((pid) => initialEnvironment(pid)?.some((entry) => entry.includes(word)) === true);
}

/** Until it is so: what the kernel does to other processes takes it a moment. */
async function eventually(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !condition(); ) {
    assert.ok(Date.now() < end, "it did not come about");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

for (const [where, kind] of kinds) {
  describe(`a builder ${where}`, () => {
    const store = testStore();
    after(() => store.remove());
    const run = (script: string, more: Partial<Case> = {}) => store.run({ ...kind, script, ...more });

    test("ends with its exit status", async () => {
      for (const status of [0, 1, 7, 255]) {
        assert.deepEqual((await run(`exit ${status}`)).exit, { kind: "exited", status });
      }
    });

    test("ends with the signal that killed it", async () => {
      // The first process of a sandbox, as that of a machine, is spared those that it sends itself; not a fault.
      const fault = "ulimit -s 256; deeper() { deeper; }; deeper";
      assert.deepEqual((await run(fault)).exit, { kind: "signalled", signal: 11 });
      for (const signal of kind.isolation === "sandbox" ? [] : [9, 11, 15]) {
        assert.deepEqual((await run(`kill -${signal} $$`)).exit, { kind: "signalled", signal });
      }
    });

    test("begins with no signal ignored or blocked, whatever silo was started with", async () => {
      // Not by a shell, which ignores some itself.
      const program = { kind: "executable", path: busybox, args: ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"] };
      const ignoring = ["-c", 'trap "" HUP INT QUIT PIPE USR1 USR2 ALRM TERM WINCH; exec "$@"', "sh"];
      const silo = spawn("sh", [...ignoring, process.execPath, driver], { stdio: ["pipe", "pipe", "inherit"] });
      silo.stdin.end(JSON.stringify({ case: { ...kind, program } }));
      let log = "";
      for await (const chunk of silo.stdout) log += chunk;
      assert.deepEqual(log.match(/[0-9a-f]{16}/g), ["0000000000000000", "0000000000000000"]);
    });

    test("gives its arguments and environment, byte by byte", async () => {
      const odd = "\xff\x80 'quoted' \"\n$x";
      const { log } = await store.run({
        ...kind,
        program: {
          kind: "executable",
          path: busybox as ByteString,
          args: ["sh", "-c", 'printf "%s|%s|%s" "$1" "$ODD" "$0"', "zero", odd] as string[] as ByteString[],
        },
        env: { ODD: odd },
      });
      assert.equal(log, `${odd}|${odd}|zero`);
    });

    test("delivers its log line by line while it runs, unchanged", async () => {
      const seen: string[] = [];
      const running = store.start({ ...kind, script: "echo one; printf 'two\\r\\t\\004'; exec sleep 300" }, (text) => {
        seen.push(text);
        if (seen.join("").endsWith("\x04")) running.kill();
      });
      assert.deepEqual(await running.exited, { kind: "signalled", signal: 9 });
      assert.equal(seen.join(""), "one\ntwo\r\t\x04");
    });

    test("delivers a log of many bytes, whole", async () => {
      const { log, exit } = await run(`${busybox} seq 1 200000; ${busybox} seq 1 5 >&2`);
      assert.deepEqual(exit, { kind: "exited", status: 0 });
      const lines = log.split("\n");
      assert.equal(lines.length, 200_006);
      assert.deepEqual(lines.slice(-7), ["200000", "1", "2", "3", "4", "5", ""]);
    });

    test("may close its outputs and go on", async () => {
      const { exit } = await run(`exec >&- 2>&-; ${busybox} mkdir $out; ${busybox} sleep 0.05; exit 5`);
      assert.deepEqual(exit, { kind: "exited", status: 5 });
      assert.ok(existsSync(store.out));
    });

    test("leaves no process, however it has started it", async () => {
      const mark = `silo-left-${process.pid}-${Math.random()}`;
      const b = busybox;
      const script = `${b} sleep 300 & ${b} setsid ${b} sleep 300 & (${b} nohup ${b} sleep 300 </dev/null >/dev/null 2>&1 &)
        (${b} setsid ${b} sh -c '${b} sleep 300 & ${b} sleep 300' </dev/null >/dev/null 2>&1 &)
        while [ $(${b} ps | ${b} grep -c 'sleep 300') -lt 5 ]; do ${b} sleep 0.01; done; echo started`;
      const { log, exit } = await run(script, { env: { MARK: mark } });
      assert.deepEqual([log, exit], ["started\n", { kind: "exited", status: 0 }]);
      assert.deepEqual(marked(mark), []);
    });

    test("is killed with everything that it has started", async () => {
      const mark = `silo-killed-${process.pid}-${Math.random()}`;
      const script = `${busybox} sleep 300 & ${busybox} setsid ${busybox} sleep 300 & echo started; wait`;
      const running = store.start({ ...kind, script, env: { MARK: mark } }, () => running.kill());
      assert.deepEqual(await running.exited, { kind: "signalled", signal: 9 });
      assert.deepEqual(marked(mark), []);
      running.kill(); // too late to matter
    });

    test("is gone with everything when nobody can take its log", async () => {
      const mark = `silo-deaf-${process.pid}-${Math.random()}`;
      const script = `${busybox} setsid ${busybox} sleep 300 & echo started; ${busybox} mkdir $out; ${busybox} sleep 300`;
      const running = store.start({ ...kind, script, env: { MARK: mark } }, () => {
        throw new Error("the disk is full");
      });
      await assert.rejects(running.outcome, /the disk is full/);
      assert.deepEqual(marked(mark), []);
      assert.deepEqual(
        readdirSync(store.storeDir).filter((name) => name.includes("chroot")),
        [],
      );
      deleteTree(store.out);
    });

    test("that cannot be executed is a failure to set up", async () => {
      const program = { kind: "executable", path: "/no/such/builder" as ByteString, args: [] } as const;
      assert.deepEqual((await store.run({ ...kind, program })).exit, {
        kind: "setup-failed",
        reason: "executing '/no/such/builder': No such file or directory",
      });
    });

    test("runs beside others", async () => {
      const { user } = kind;
      const many = await Promise.all(
        Array.from({ length: 8 }, (_, i) => {
          return run(`echo ${i}; exit ${i}`, user === undefined ? {} : { user: { ...user, uid: user.uid + i } });
        }),
      );
      assert.deepEqual(
        many.map(({ exit, log }) => [exit, log]),
        many.map((_, status) => [{ kind: "exited", status }, `${status}\n`]),
      );
    });

    test("dies with silo, and so does what it has started", async () => {
      const mark = `silo-orphan-${process.pid}-${Math.random()}`;
      const script = `${busybox} sleep 300 & ${busybox} setsid ${busybox} sleep 300 & echo started; wait`;
      const silo = spawn(process.execPath, [driver], { stdio: ["pipe", "pipe", "inherit"] });
      silo.stdin.end(JSON.stringify({ case: { ...kind, script, env: { MARK: mark } } }));
      await new Promise<void>((resolve) => silo.stdout.on("data", () => resolve()));
      assert.ok(marked(mark).length >= 3);
      silo.kill("SIGKILL");
      await eventually(() => marked(mark).length === 0);
      assert.equal(readFileSync("/proc/self/mountinfo", "utf8").includes(store.dir), false);
    });
  });
}

describe("a sandbox", () => {
  const store = testStore();
  after(() => store.remove());

  test("moves what the builder made to the store, and what a failed one made, too", async () => {
    for (const status of [0, 1]) {
      const script = `${busybox} mkdir -p $out/sub; echo x > $out/sub/file; ${busybox} chmod -R a-w $out; exit ${status}`;
      assert.deepEqual((await store.run({ isolation: "sandbox", script })).exit, { kind: "exited", status });
      assert.equal(readFileSync(`${store.out}/sub/file`, "utf8"), "x\n");
      deleteTree(store.out);
    }
  });

  test("does not move an output over something, and says so", async () => {
    mkdirSync(store.out);
    await assert.rejects(store.run({ isolation: "sandbox", script: `${busybox} mkdir $out` }), { code: "EEXIST" });
    const sandbox = { outputDestination: () => `${store.out}-elsewhere` };
    await store.run({ isolation: "sandbox", script: `${busybox} mkdir $out`, sandbox });
    assert.ok(existsSync(`${store.out}-elsewhere`));
    assert.deepEqual(
      readdirSync(store.storeDir).filter((name) => name.includes("chroot")),
      [],
    );
  });

  test("shows extra paths where it is told to, and needs those that are not optional", async () => {
    writeFileSync(`${store.dir}/host`, "from the host\n");
    const extraPaths = [
      { source: busybox, target: busybox, ifMissing: "fail" },
      { source: `${store.dir}/host`, target: "/some/where/else", ifMissing: "fail" },
      { source: `${store.dir}/nothing`, target: "/optional", ifMissing: "skip" },
    ] as const;
    const script = `${busybox} cat /some/where/else; [ ! -e /optional ]`;
    const shown = await store.run({ isolation: "sandbox", script, sandbox: { extraPaths } });
    assert.deepEqual([shown.exit, shown.log], [{ kind: "exited", status: 0 }, "from the host\n"]);
    const missing = { source: `${store.dir}/nothing`, target: "/needed", ifMissing: "fail" } as const;
    const failed = await store.run({ isolation: "sandbox", sandbox: { extraPaths: [missing] } });
    assert.deepEqual(failed.exit, {
      kind: "setup-failed",
      reason: `getting attributes of path '${store.dir}/nothing': No such file or directory`,
    });
  });

  test("says which mount failed", async () => {
    const { exit } = await store.run({ isolation: "sandbox", sandbox: { devShmSize: "nonsense" } });
    assert.equal(exit.kind, "setup-failed");
    assert.match(
      exit.kind === "setup-failed" ? exit.reason : "",
      /^mounting tmpfs on '.*\/dev\/shm': Invalid argument$/,
    );
  });

  test("shows the network of the host to builders that fetch", async () => {
    const script = `${busybox} ls -1 /etc; [ $(${busybox} ip link | ${busybox} grep -c ^[0-9]) -gt 1 ] || exit 7`;
    const { exit, log } = await store.run({ isolation: "sandbox", script, sandbox: { network: "host" } });
    assert.match(log, /^nsswitch\.conf$/m);
    assert.ok(exit.kind === "exited" && (exit.status === 0 || !existsSync("/sys/class/net/eth0")));
  });
});
