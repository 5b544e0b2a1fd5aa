/** What an unprivileged user can do through the daemon's socket, with stock clients and with requests of its own making. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { chmodSync, chownSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { WireWriter } from "../../src/formats/wire.ts";
import { close, read, writeAll } from "../../src/sys/descriptor.ts";
import { connectUnix, shutdownWriting } from "../../src/sys/unix-socket.ts";
import { greeting } from "../support/daemon-conversation.ts";
import { settledDatabase, withDaemon } from "../support/running-daemon.ts";
import { skipWithout, skipWithoutNix } from "../support/stock-nix.ts";
import { createTempStore, type TempStore } from "../support/temp-store.ts";

const nobody = 65534;
const asNobody = ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"];
const skip = process.geteuid!() === 0 ? skipWithoutNix || skipWithout("setpriv", "--version") : "needs root";

async function withStore(use: (store: TempStore) => Promise<void>): Promise<void> {
  const store = createTempStore();
  try {
    chmodSync(store.dir, 0o755);
    mkdirSync(`${store.dir}/home`);
    chownSync(`${store.dir}/home`, nobody, nobody);
    await withDaemon("silo", store, () => use(store));
  } finally {
    store.remove();
  }
}

function run(store: TempStore, program: string, ...args: string[]) {
  const env = { NIX_REMOTE: "daemon", HOME: `${store.dir}/home` };
  return store.run("nix", program, args, { through: asNobody, cwd: `${store.dir}/home`, env });
}

function ok(store: TempStore, program: string, ...args: string[]): string {
  const { status, stdout, stderr } = run(store, program, ...args);
  assert.equal(status, 0, stderr);
  return stdout.toString("latin1").trim();
}

function refused(store: TempStore, pattern: RegExp, program: string, ...args: string[]): void {
  const { status, stderr } = run(store, program, ...args);
  assert.notEqual(status, 0, `${program} ${args.join(" ")} was allowed`);
  assert.match(stderr.replaceAll(/\x1b\[[0-9;]*m/g, ""), pattern);
}

const nix = ["--extra-experimental-features", "nix-command"];

describe("an unprivileged user", { skip, timeout: 600_000 }, () => {
  test("adds, asks and builds, and has roots of its own", () =>
    withStore(async (store) => {
      const home = `${store.dir}/home`;
      writeFileSync(`${home}/file`, "file\n");
      writeFileSync(
        `${home}/x.nix`,
        `derivation { name = "x"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo x > $out" ]; }`,
      );
      const path = ok(store, "nix-store", "--add", `${home}/file`);
      assert.match(ok(store, "nix-store", "-q", "--hash", path), /^sha256:/);
      const out = ok(store, "nix-build", `${home}/x.nix`, "-o", `${home}/result`);
      assert.equal(readFileSync(out, "utf8"), "x\n");
      assert.equal(ok(store, "nix-store", "-q", "--roots", out).split(" ")[0], `${home}/result`);
      for (const kind of ["profiles", "gcroots"]) {
        const { uid, mode } = statSync(`${store.stateDir}/${kind}/per-user/nobody`);
        assert.deepEqual([uid, mode & 0o7777], [nobody, 0o755]);
      }
      ok(store, "nix-store", "--gc");
      assert.equal(existsSync(out), true);
      assert.equal(existsSync(path), false);
    }));

  test("cannot repair, sign, or bring what nobody has signed", () =>
    withStore(async (store) => {
      const home = `${store.dir}/home`;
      writeFileSync(`${store.dir}/text`, "text\n");
      writeFileSync(
        `${store.dir}/built.nix`,
        `derivation { name = "b"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo b > $out" ]; }`,
      );
      const path = store.output("nix", ["--add", `${store.dir}/text`], { env: { NIX_REMOTE: "daemon" } }).trim();
      const built = store
        .run("nix", "nix-build", ["--no-out-link", `${store.dir}/built.nix`])
        .stdout.toString()
        .trim();
      store.run("nix", "nix-store", ["--generate-binary-cache-key", "evil-1", `${home}/key`, `${home}/key.pub`]);
      chownSync(`${home}/key`, nobody, nobody);
      const before = await settledDatabase(store);

      refused(store, /not privileged to repair/, "nix-store", "--verify", "--repair");
      refused(store, /repairing is not allowed/, "nix-store", "-r", path, "--repair");
      refused(store, /not privileged to add signatures/, "nix", ...nix, "store", "sign", "-k", `${home}/key`, path);
      const exported = store.run("nix", "nix-store", ["--export", built]).stdout;
      writeFileSync(`${home}/export`, exported);
      refused(store, /signature/, "sh", "-c", `nix-store --import < ${home}/export`);
      assert.deepEqual(await settledDatabase(store), before);

      // The same from a store of its own: unsigned, signed by a key that nobody trusts, and with a lie about the contents.
      const own = `${home}/own`;
      const copy = (...flags: string[]) => ["nix", ...nix, "copy", ...flags, built] as const;
      store.run("nix", "nix", [...nix, "copy", "--no-check-sigs", "--to", own, built]);
      spawnSync("chown", ["-R", String(nobody), own]);
      const conf = readFileSync(`${store.dir}/conf/nix.conf`, "utf8");
      assert(!conf.includes("require-sigs"));
      store.run("nix", "nix-store", ["--delete", built]);
      const [program, ...args] = copy("--no-check-sigs", "--from", own);
      refused(store, /lacks a valid signature|lacks a signature/, program!, ...args);
    }));

  test("cannot set what is restricted", () =>
    withStore(async (store) => {
      const home = `${store.dir}/home`;
      writeFileSync(
        `${home}/x.nix`,
        `derivation { name = "x"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo x > $out" ]; }`,
      );
      writeFileSync(`${home}/hook`, `#!/bin/sh\nid -u > ${home}/hooked\n`, { mode: 0o755 });
      for (const setting of ["post-build-hook", "pre-build-hook", "diff-hook", "build-hook"])
        run(store, "nix-build", "--no-out-link", `${home}/x.nix`, "--option", setting, `${home}/hook`);
      run(
        store,
        "nix-build",
        "--no-out-link",
        `${home}/x.nix`,
        "--option",
        "require-sigs",
        "false",
        "--option",
        "trusted-users",
        "nobody",
      );
      assert.equal(existsSync(`${home}/hooked`), false);
      writeFileSync(
        `${home}/y.nix`,
        `derivation { name = "y"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "cat /secret > $out" ]; }`,
      );
      refused(
        store,
        /./,
        "nix-build",
        "--no-out-link",
        `${home}/y.nix`,
        "--option",
        "sandbox-paths",
        `/secret=${store.dir}/conf/nix.conf`,
      );
    }));

  test("reads and writes no file through the daemon that it could not itself", () =>
    withStore(async (store) => {
      const secrets = `${store.dir}/secrets`;
      mkdirSync(secrets, { mode: 0o700 });
      writeFileSync(`${secrets}/file`, "secret");
      const path = store.output("nix", ["--add", `${store.dir}/conf`], { env: { NIX_REMOTE: "daemon" } }).trim();
      symlinkSync(path, `${secrets}/link`);
      refused(store, /./, "nix-store", "--add", `${secrets}/file`);
      refused(store, /./, "nix-store", "--add-root", `${secrets}/root`, "-r", path);
      assert.deepEqual(readdirSync(secrets).sort(), ["file", "link"]);

      const link = (target: string) => speak(store, 12, target);
      assert.match(link(`${secrets}/link`), /not a symbolic link of yours/);
      assert.match(link(`${secrets}/none`), /not a symbolic link of yours/);
      assert.match(link("relative"), /absolute path/);
      const auto = `${store.stateDir}/gcroots/auto`;
      assert.deepEqual(existsSync(auto) ? readdirSync(auto) : [], []);
      for (const name of ["../../etc/passwd", "a/b", ".", "..", ""])
        assert.match(speak(store, 8, name, "text"), /[Nn]ame|cannot|Cannot/);
      assert.match(speak(store, 38, `${store.storeDir}/../conf/nix.conf`), /store path|Nix store|parse/);
    }));
});

/** A request of these strings as the user nobody; what the server says, up to its end. */
function speak(store: TempStore, operation: number, ...strings: string[]): string {
  const writer = new WireWriter().raw(greeting(34)).u64(operation);
  for (const text of strings) writer.string(text);
  for (let i = 0; i < 4; i++) writer.u64(0);
  const fd = connectAsNobody(`${store.stateDir}/daemon-socket/socket`);
  try {
    writeAll(fd, writer.take());
    shutdownWriting(fd);
    const parts: string[] = [];
    const buffer = Buffer.alloc(65536);
    for (let count = read(fd, buffer); count > 0; count = read(fd, buffer))
      parts.push(buffer.toString("latin1", 0, count));
    return parts.join("");
  } finally {
    close(fd);
  }
}

/** The socket knows who connected it. */
function connectAsNobody(socket: string): number {
  process.setegid!(nobody);
  process.seteuid!(nobody);
  try {
    return connectUnix(socket);
  } finally {
    process.seteuid!(0);
    process.setegid!(0);
  }
}
