import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { findRoots } from "../../src/gc/roots/find-roots.ts";
import { RootFinderFailed } from "../../src/gc/roots/root-finder.ts";
import { findRuntimeRoots } from "../../src/gc/roots/runtime-roots.ts";
import { readTempRoots } from "../../src/gc/roots/temp-root-files.ts";
import { collectGarbage } from "../../src/gc/collect-garbage.ts";
import { addPermanentRoot } from "../../src/store/roots.ts";
import { addText } from "../../src/store/add.ts";
import type { LocalStore } from "../../src/store/local-store.ts";
import { O_CREAT, O_RDWR, open, withDescriptor, writeAll } from "../../src/sys/descriptor.ts";
import { tryRecordLock } from "../../src/sys/record-lock.ts";
import { skipWithout, skipWithoutNix } from "../support/stock-nix.ts";
import { type StoreFixture, withStoreFixture } from "../support/store-fixture.ts";

function addOne(store: LocalStore, name: string) {
  return addText(store, name, Buffer.from(`the text of ${name}`), []);
}

/** Without what runs on this machine. */
function foundLinks(store: LocalStore): string[] {
  return findRoots(store).flatMap(({ link, target }) =>
    link.startsWith("/proc/") || link.startsWith("{temp:") ? [] : [`${link} -> ${target}`],
  );
}

function link(target: string, path: string): string {
  mkdirSync(join(path, ".."), { recursive: true });
  symlinkSync(target, path);
  return path;
}

describe("links", () => {
  test("of every kind are found, and nothing else", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const path = addOne(store, "object");
      const object = join(fixture.storeDir, path);
      const { stateDir } = store;
      const roots = [
        link(object, join(stateDir, "gcroots", "direct")),
        link(join(object, "bin", "x"), join(stateDir, "gcroots", "a", "b", "inside")),
        link(object, join(stateDir, "profiles", "p-1-link")),
        link(object, join(stateDir, "manifests", "old")),
        link(object, join(fixture.dir, "result")),
        link(object, join(fixture.dir, "relative")),
      ];
      link(roots[4]!, join(stateDir, "gcroots", "auto", "x"));
      link("../../relative", join(stateDir, "gcroots", "relative"));
      writeFileSync(join(stateDir, "gcroots", path), "");
      link("p-1-link", join(stateDir, "profiles", "p")); // not a second step
      link(fixture.dir, join(stateDir, "gcroots", "elsewhere")); // directories are not followed
      link(`${fixture.storeDir}/${"0".repeat(32)}-gone`, join(stateDir, "gcroots", "invalid"));
      link(`${fixture.storeDir}/nonsense`, join(stateDir, "gcroots", "nonsense"));
      const expected = [...roots, join(stateDir, "gcroots", path)].map((root) => `${root} -> ${path}`);
      expected.push(`${join(stateDir, "profiles", "p-1-link")} -> ${path}`); // through the profile, too
      assert.deepEqual(foundLinks(store), [...new Set(expected)].sort());
      assert(
        fixture.messages.includes(
          `info: skipping invalid root from '${join(stateDir, "gcroots", "invalid")}' to '${fixture.storeDir}/${"0".repeat(32)}-gone'`,
        ),
      );
    }));

  test("a stale automatic one is removed, another stale one stays", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const stale = link(join(fixture.dir, "gone"), join(store.stateDir, "gcroots", "auto", "stale"));
      const other = link(join(fixture.dir, "gone"), join(store.stateDir, "gcroots", "other"));
      foundLinks(store);
      assert(!isThere(stale));
      assert(isThere(other));
      assert(fixture.messages.includes(`info: removing stale link from '${stale}' to '${join(fixture.dir, "gone")}'`));
    }));

  test("a permanent root keeps its path, and gives it up with its link", () =>
    withStoreFixture((fixture) => {
      let store = fixture.open();
      const path = addOne(store, "kept");
      addPermanentRoot(store, path, join(fixture.dir, "root"));
      store.close();
      store = fixture.open();
      assert.deepEqual(dead(store), []);
      spawnSync("rm", [join(fixture.dir, "root")]);
      assert.deepEqual(dead(store), [`${fixture.storeDir}/${path}`]);
    }));

  test("those of hostile users end nothing: circles, long names, directories deeper than a path can say", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const path = addOne(store, "object");
      const kept = link(join(fixture.storeDir, path), join(store.stateDir, "gcroots", "zz-kept"));
      const hostile = join(store.stateDir, "gcroots", "per-user", "mallory");
      link("circle", join(hostile, "circle"));
      link("circle/beyond", join(hostile, "through-circle"));
      link("n".repeat(300), join(hostile, "long"));
      const dig = 'for i in $(seq 25); do mkdir "$0" && cd -P "$0" || exit 1; done';
      assert.equal(spawnSync("sh", ["-c", dig, "d".repeat(200)], { cwd: hostile }).status, 0);
      assert.deepEqual(foundLinks(store), [`${kept} -> ${path}`]);
      assert(fixture.messages.some((message) => message.includes("cannot read potential root")));
    }));

  test("what may not be read is passed over", { skip: process.getuid?.() === 0 && "root may read everything" }, () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      mkdirSync(join(store.stateDir, "gcroots", "closed"), { mode: 0 });
      assert.deepEqual(foundLinks(store), []);
    }),
  );

  test("are those that stock Nix finds", { skip: skipWithoutNix }, () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const object = join(fixture.storeDir, addOne(store, "object"));
      link(object, join(store.stateDir, "gcroots", "one"));
      link(object, join(store.stateDir, "profiles", "per-user", "me", "p-7-link"));
      link(object, join(fixture.dir, "result"));
      link(join(fixture.dir, "result"), join(store.stateDir, "gcroots", "auto", "x"));
      const printed = fixture.nix(["--gc", "--print-roots"]).toString().split("\n");
      const theirs = printed.filter((line) => line.startsWith(fixture.dir));
      assert.deepEqual(
        foundLinks(store).map((line) => line.replace(" -> ", ` -> ${fixture.storeDir}/`)),
        theirs,
      );
    }),
  );
});

describe("running processes", () => {
  const sleeper = skipWithout("sleep", "--version");

  async function withProcess<T>(
    options: { env?: Record<string, string>; cwd?: string; fd?: number },
    use: (pid: number) => T,
  ): Promise<T> {
    const child = spawn("sleep", ["1000"], {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { PATH: process.env["PATH"] ?? "", ...options.env },
      stdio: ["ignore", options.fd ?? "ignore", "ignore"],
    });
    await once(child, "spawn");
    try {
      return use(child.pid!);
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  }

  function sources(fixture: StoreFixture, pid: number): string[] {
    const found: string[] = [];
    findRuntimeRoots(fixture.directories.storeDir, (source, target) => {
      if (source.startsWith(`/proc/${pid}/`)) found.push(`${source.slice(`/proc/${pid}/`.length)} ${target}`);
    });
    return found.sort();
  }

  test("keep what their environment names, anywhere in it", { skip: sleeper }, () =>
    withStoreFixture(async (fixture) => {
      fixture.open().close();
      const [a, b] = ["a", "b"].map((letter) => `${letter.repeat(32)}-some+thing_1.0`);
      const env = { X: `:${fixture.storeDir}/${a}/bin:${fixture.storeDir}/${b},more`, Y: `${fixture.storeDir}/short` };
      await withProcess({ env }, (pid) => {
        assert.deepEqual(sources(fixture, pid), [`environ ${a}`, `environ ${b}`]);
      });
    }),
  );

  test("keep their working directory and open files", { skip: sleeper }, () =>
    withStoreFixture(async (fixture) => {
      fixture.open().close();
      const name = `${"c".repeat(32)}-object`;
      mkdirSync(join(fixture.storeDir, name, "bin"), { recursive: true });
      const fd = openSync(join(fixture.storeDir, name, "log"), "w");
      try {
        await withProcess({ cwd: join(fixture.storeDir, name, "bin"), fd }, (pid) => {
          assert.deepEqual(sources(fixture, pid), [`cwd ${name}`, `fd/1 ${name}`]);
        });
      } finally {
        closeSync(fd);
      }
    }),
  );

  test(
    "are found wherever they are in a large environment, and a deep working directory ends nothing",
    { skip: sleeper },
    () =>
      withStoreFixture(async (fixture) => {
        fixture.open().close();
        const name = (i: number) => `${String(i).padStart(32, "0")}-${"n".repeat(211 - 33)}`;
        const names = Array.from({ length: 3000 }, (_, i) => name(i));
        const env: Record<string, string> = {};
        for (let i = 0; i < 30; i++) {
          env[`V${i}`] = names
            .slice(i * 100, i * 100 + 100)
            .map((each) => `${fixture.storeDir}/${each}`)
            .join(":");
        }
        const dig = 'for i in $(seq 25); do mkdir -p "$0" && cd -P "$0" || exit 1; done; echo; exec sleep 1000';
        const child = spawn("sh", ["-c", dig, "d".repeat(200)], { cwd: fixture.dir, env: { ...process.env, ...env } });
        try {
          await once(child.stdout, "data");
          const found = sources(fixture, child.pid!).filter((source) => source.startsWith("environ "));
          assert.deepEqual(
            found,
            names.map((each) => `environ ${each}`),
          );
        } finally {
          child.kill("SIGKILL");
          await once(child, "exit");
          // Too deep for paths to be removed by.
          spawnSync("rm", ["-rf", join(fixture.dir, "d".repeat(200))]);
        }
      }),
  );

  test("keep their executable, also when it was replaced meanwhile", { skip: sleeper }, () =>
    withStoreFixture(async (fixture) => {
      fixture.open().close();
      const name = `${"d".repeat(32)}-sleep`;
      const directory = join(fixture.storeDir, name);
      mkdirSync(directory);
      spawnSync("cp", [realProgram("sleep"), join(directory, "sleep")]);
      const child = spawn(join(directory, "sleep"), ["1000"], { stdio: "ignore" });
      await once(child, "spawn");
      try {
        assert.deepEqual([...new Set(sources(fixture, child.pid!))], [`exe ${name}`, `maps ${name}`]);
        spawnSync("rm", [join(directory, "sleep")]);
        assert.deepEqual([...new Set(sources(fixture, child.pid!))], [`exe ${name}`, `maps ${name}`]);
      } finally {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    }),
  );

  test("show as roots, and their paths are alive", { skip: sleeper }, () =>
    withStoreFixture(async (fixture) => {
      const store = fixture.open();
      const path = addOne(store, "used");
      store.close();
      const again = fixture.open();
      assert.deepEqual(dead(again), [`${fixture.storeDir}/${path}`]);
      await withProcess({ env: { USED: `${fixture.storeDir}/${path}` } }, (pid) => {
        assert(findRoots(again).some((root) => root.link === `/proc/${pid}/environ` && root.kind === "runtime"));
        assert.deepEqual(dead(again), []);
      });
    }),
  );
});

function realProgram(name: string): string {
  const found = (process.env["PATH"] ?? "").split(":").map((directory) => join(directory, name));
  return found.find((path) => existsSync(path))!;
}

describe("an external finder", () => {
  function withFinder<T>(fixture: StoreFixture, script: string, use: () => T): T {
    const program = join(fixture.dir, "finder");
    writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    process.env["NIX_ROOT_FINDER"] = program;
    try {
      return use();
    } finally {
      delete process.env["NIX_ROOT_FINDER"];
    }
  }

  test("adds what it prints", () =>
    withStoreFixture((fixture) => {
      let store = fixture.open();
      const path = addOne(store, "found");
      store.close();
      store = fixture.open();
      withFinder(fixture, `echo ${fixture.storeDir}/${path}/bin/x; echo /elsewhere; echo ${fixture.storeDir}/odd`, () =>
        assert.deepEqual(dead(store), []),
      );
      assert.deepEqual(dead(store), [`${fixture.storeDir}/${path}`]);
    }));

  test("ends the collection when it fails", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      withFinder(fixture, "exit 3", () => assert.throws(() => dead(store), RootFinderFailed));
    }));
});

describe("temporary roots", () => {
  test("of a process that lives are read, of one that died deleted", async () => {
    await withStoreFixture(async (fixture) => {
      const store = fixture.open();
      const root = `${fixture.storeDir}/${"a".repeat(32)}-root`;
      const holder = fixture.startSilo(["hold-temp-root", root]);
      await once(holder.stdout!, "data");
      const file = join(store.stateDir, "temproots", String(holder.pid));
      assert.deepEqual(readTempRoots(store, "collect").roots, [{ path: root, process: String(holder.pid) }]);
      holder.kill("SIGKILL");
      await once(holder, "exit");
      assert(isThere(file));
      assert.deepEqual(readTempRoots(store, "collect").roots, []);
      assert(!isThere(file));
      assert(fixture.messages.includes(`info: removing stale temporary roots file '${file}'`));
    });
  });

  test("of Nix 1.7, which locks with fcntl, are read and its file held", () =>
    withStoreFixture((fixture) => {
      const store = fixture.open();
      const file = join(store.stateDir, "temproots", "4711");
      const root = `${fixture.storeDir}/${"b".repeat(32)}-root`;
      withDescriptor(open(file, O_RDWR | O_CREAT, 0o600), (fd) => {
        writeAll(fd, Buffer.from(`${root}\0${root}-unfinished`));
        assert(tryRecordLock(fd, "shared"));
        const found = readTempRoots(store, "collect");
        assert.deepEqual(found.roots, [{ path: root, process: "4711" }]);
        assert(!tryRecordLock(fd, "exclusive"), "its owner must wait while the collector decides");
        found.release();
        assert(tryRecordLock(fd, "exclusive"));
        assert(tryRecordLock(fd, "shared"));
      });
      assert.deepEqual(readTempRoots(store, "collect").roots, []);
      assert(!isThere(file));
    }));

  test("keep a path, what it refers to, and its lock file and chroot", async () => {
    await withStoreFixture(async (fixture) => {
      let store = fixture.open();
      const below = addOne(store, "below");
      const path = addText(store, "above", Buffer.from("above"), [below]);
      store.close();
      store = fixture.open();
      for (const suffix of [".lock", ".chroot"]) writeFileSync(join(fixture.storeDir, path + suffix), "");
      const holder = fixture.startSilo(["hold-temp-root", `${fixture.storeDir}/${path}`]);
      await once(holder.stdout!, "data");
      assert.deepEqual(dead(store), []);
      holder.stdin!.end();
      await once(holder, "exit");
      assert.deepEqual(dead(store).length, 4);
    });
  });
});

function dead(store: LocalStore): readonly string[] {
  const { paths } = collectGarbage(store, {
    action: "return-dead",
    paths: [],
    liveness: "respect",
    referrers: "keep",
    maxFreed: undefined,
  });
  return [...paths];
}

function isThere(path: string): boolean {
  try {
    readlinkSync(path);
    return true;
  } catch {
    return existsSync(path);
  }
}
