/** What goes wrong between two machines: a clear error or another try, nothing partial, nothing stuck, no slot kept. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { programDirectory, type RemotePair, startRemotePair } from "../support/remote-pair.ts";
import { skipWithoutSshd } from "../support/ssh-machine.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const skip = skipWithoutSshd || skipWithoutNix;
const rounds = process.env["SILO_LONG"] === "1" ? 40 : 4;

async function withPair(
  use: (pair: RemotePair) => void | Promise<void>,
  options: Parameters<typeof startRemotePair>[1] = {},
): Promise<void> {
  const pair = await startRemotePair("silo", options);
  try {
    await use(pair);
  } finally {
    pair.close();
  }
}

function addText(pair: RemotePair, text: string): string {
  const file = join(pair.here.dir, "text");
  writeFileSync(file, text);
  return pair.here.nix(["--add", file]).toString().trim();
}

function copyError(pair: RemotePair, host: string, path: string, env: Record<string, string> = {}): string {
  const result = pair.run("silo", "nix-copy-closure", [host, path], env);
  assert.equal(result.status, 1, result.stderr);
  assert.equal(result.stdout, "");
  assert.doesNotMatch(result.stderr, /bug|\n {4}at /, "no stack trace");
  return result.stderr;
}

test("host keys that are another, unknown or revoked", { skip }, () =>
  withPair((pair) => {
    const path = addText(pair, "x");
    const known = join(pair.env["HOME"]!, ".ssh", "known_hosts");
    const line = readFileSync(known, "latin1").trim();
    const [name, type] = line.split(" ");
    const other = join(pair.here.dir, "other");
    spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", other]);
    writeFileSync(known, `${name} ${type} ${readFileSync(`${other}.pub`, "latin1").split(" ")[1]}\n`);
    assert.match(
      copyError(pair, "machine", path),
      /Cannot trust the host key of 'ssh:\/\/machine': it is ssh-ed25519 SHA256:\S+, but '\S+known_hosts', line 1 has another one .*ssh-keygen -R/,
    );
    writeFileSync(known, "");
    assert.match(copyError(pair, "machine", path), /which is in none of the known_hosts files.*ssh-keyscan/);
    writeFileSync(known, `${line}\n@revoked * ${line.split(" ").slice(1).join(" ")}\n`);
    assert.match(copyError(pair, "machine", path), /is marked as revoked/);
    const pinned = Buffer.from(line.split(" ").slice(1).join(" ")).toString("base64");
    const uri = `ssh://machine?base64-ssh-public-host-key=${encodeURIComponent(pinned)}`;
    assert.equal(pair.run("silo", "nix-copy-closure", [uri, path]).status, 0, "the key that the URI states is enough");
    assert.match(
      copyError(
        pair,
        uri.replace(/=.*/, `=${encodeURIComponent(Buffer.from("ssh-ed25519 AAAA").toString("base64"))}`),
        path,
      ),
      /not the one that the store URI/,
    );
  }),
);

test("no key that the host accepts, one with a passphrase, and an agent that has it", { skip }, () =>
  withPair((pair) => {
    const path = addText(pair, "x");
    const key = join(pair.there.dir, "user_key");
    const other = join(pair.here.dir, "other");
    spawnSync("ssh-keygen", ["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", other]);
    const uri = `ssh://machine?ssh-key=${other}`;
    const config = readFileSync(join(pair.env["HOME"]!, ".ssh", "config"), "latin1");
    writeFileSync(join(pair.env["HOME"]!, ".ssh", "config"), config.replace(/ +IdentityFile.*\n/, ""));
    assert.match(copyError(pair, uri, path), /Cannot log in to 'ssh:\/\/machine' as 'root': permission denied/);
    assert.match(
      copyError(pair, "ssh://machine?ssh-key=/no/such/key", path),
      /the key file '\/no\/such\/key' cannot be read/,
    );
    const locked = join(pair.here.dir, "locked");
    spawnSync("cp", [key, locked]);
    spawnSync("cp", [`${key}.pub`, `${locked}.pub`]);
    spawnSync("ssh-keygen", ["-q", "-p", "-P", "", "-N", "secret", "-f", locked]);
    assert.match(copyError(pair, `ssh://machine?ssh-key=${locked}`, path), /has a passphrase: add it to an agent/);
    const agent = `eval $(ssh-agent -s) > /dev/null; ssh-add -q ${key}; `;
    const copy = `'${join(programDirectory("silo"), "nix-copy-closure")}' 'ssh://machine?ssh-key=${locked}' ${path}; status=$?; kill $SSH_AGENT_PID; exit $status`;
    const result = pair.shell(agent + copy);
    assert.equal(result.status, 0, result.stderr);
  }),
);

test("programs that are missing, fail, say something else, or nothing at all", { skip }, () =>
  withPair((pair) => {
    const path = addText(pair, "x");
    const program = (text: string) => `ssh://machine?remote-program=${encodeURIComponent(text)}`;
    assert.match(
      copyError(pair, program("/no/such/nix-store"), path),
      /Cannot run the store's program on 'ssh:\/\/machine'.*remote-program/s,
    );
    assert.match(copyError(pair, program("false"), path), /'ssh:\/\/machine' hung up \(exit status 1\)/);
    assert.match(
      copyError(pair, program("echo error: the disk has gone >&2; false"), path),
      /'ssh:\/\/machine' says: the disk has gone/,
    );
    assert.match(copyError(pair, program("echo Welcome to this machine;"), path), /it began with "Welcome "/);
    writeFileSync(join(pair.here.dir, "conf", "nix.conf"), "build-users-group =\nconnect-timeout = 1\n");
    assert.match(copyError(pair, program("sleep 100;"), path), /no greeting within 1 seconds/);
    assert.match(
      copyError(pair, "ssh://127.0.0.1:1", path),
      /Cannot connect to 'ssh:\/\/127.0.0.1:1': connection refused/,
    );
  }),
);

test("a connection that is cut while paths travel leaves whole paths only, and the next try goes on", { skip }, () =>
  withPair(async (pair) => {
    const paths: string[] = [];
    for (let i = 0; i < 6; i++) {
      const file = join(pair.here.dir, `large-${i}`);
      writeFileSync(file, randomBytes(6_000_000));
      paths.push(pair.here.nix(["--add", file]).toString().trim());
    }
    let cuts = 0;
    for (let round = 0; round < rounds; round++) {
      const child = pair.start("silo", "nix-copy-closure", ["machine", ...paths]);
      let stderr = "";
      child.stderr!.on("data", (chunk: Buffer) => {
        stderr += chunk.toString("latin1");
      });
      const timer = setTimeout(() => pair.there.killConnections("SIGKILL"), 100 + Math.random() * 400);
      const [status] = await once(child, "close");
      clearTimeout(timer);
      if (status !== 0) {
        cuts++;
        assert.match(stderr, /error: (Connection to|Cannot connect to|'ssh:\/\/machine')/, stderr);
        assert.doesNotMatch(stderr, /bug/);
      }
      pair.there.run("/usr/bin/nix-store", "--verify", "--check-contents");
    }
    const last = pair.run("silo", "nix-copy-closure", ["machine", ...paths]);
    assert.equal(last.status, 0, `${last.stderr} (after ${cuts} cuts)`);
    pair.there.run("/usr/bin/nix-store", "--verify-path", ...paths);
    // And back.
    pair.here.nix(["--delete", ...paths]);
    for (let round = 0; round < rounds; round++) {
      const child = pair.start("silo", "nix-copy-closure", ["--from", "machine", ...paths]);
      const timer = setTimeout(() => pair.there.killConnections("SIGKILL"), 100 + Math.random() * 400);
      await once(child, "close");
      clearTimeout(timer);
      pair.here.nix(["--verify", "--check-contents"]);
    }
    const whole = pair.run("silo", "nix-copy-closure", ["--from", "machine", ...paths]);
    assert.equal(whole.status, 0, whole.stderr);
    pair.here.nix(["--verify-path", ...paths]);
    assert.deepEqual(
      readdirSync(pair.here.storeDir).filter((name) => name.includes("-silo-")),
      [],
    );
  }),
);

test("a disk that is full over there", { skip }, () =>
  withPair(
    (pair) => {
      const file = join(pair.here.dir, "large");
      writeFileSync(file, randomBytes(40_000_000));
      const path = pair.here.nix(["--add", file]).toString().trim();
      assert.match(copyError(pair, "machine", path), /'ssh:\/\/machine' says: .*No space left on device/);
      const small = addText(pair, "small");
      assert.equal(pair.run("silo", "nix-copy-closure", ["machine", small]).status, 0);
      pair.there.run("nix-store", "--verify", "--check-contents");
      const left = pair.there.run("ls", "-A", pair.here.storeDir).trim().split("\n");
      assert.deepEqual(
        left.filter((name) => !name.endsWith(".lock") && name !== ".links"),
        [small.slice(pair.here.storeDir.length + 1)],
      );
    },
    { diskSize: 24_000_000 },
  ),
);

test("a remote that stops answering is given up", { skip }, () =>
  withPair(
    async (pair) => {
      const file = join(pair.here.dir, "large");
      writeFileSync(file, randomBytes(30_000_000));
      const path = pair.here.nix(["--add", file]).toString().trim();
      // Its server never reads: what is sent fills all buffers.
      const uri = `ssh://machine?remote-program=${encodeURIComponent(`sh -c 'kill -STOP $(ps -o ppid= -p $PPID) ; sleep 100' ;`)}`;
      const error = copyError(pair, uri, path);
      pair.there.killConnections("SIGCONT");
      assert.match(error, /does not answer any more|no greeting/);
    },
    { sshConfig: ["Host machine", "  ServerAliveInterval 1", "  ServerAliveCountMax 2"] },
  ),
);

const machines = (jobs: number) => `builders = ssh://machine x86_64-linux,aarch64-linux - ${jobs} 1 far`;
const buildConf = { conf: ["max-jobs = 0", machines(2)], nixConf: ["system-features = far"] };

function instantiate(pair: RemotePair, name: string, script: string): string {
  const expression = `derivation { name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; requiredSystemFeatures = ["far"]; args = [ "-c" ''${script}'' ]; PATH = "/usr/bin:/bin"; }`;
  const made = pair.run("nix", "nix-instantiate", ["-E", expression]);
  assert.equal(made.status, 0, made.stderr);
  return made.stdout.trim();
}

/** Starts a build, and resolves when its builder runs. */
async function startBuild(pair: RemotePair, drv: string) {
  const child = pair.start("silo", "nix-store", ["-r", drv]);
  let stderr = "";
  const ended = once(child, "close").then(([status]) => ({ status: status as number | null, stderr }));
  await new Promise<void>((resolve, reject) => {
    child.stderr!.on("data", (chunk: Buffer) => {
      stderr += chunk.toString("latin1");
      if (stderr.includes("builder runs")) resolve();
    });
    void ended.then(({ stderr: said }) => reject(new Error(`the build is over: ${said}`)));
  });
  return { child, ended };
}

function assertNoSlotTaken({ here, shell }: RemotePair): void {
  const load = join(here.env["NIX_STATE_DIR"]!, "current-load");
  for (const file of readdirSync(load)) assert.equal(shell(`flock -n '${join(load, file)}' true`).status, 0, file);
}

test("a remote that dies during a build: it is tried again, there or elsewhere", { skip }, () =>
  withPair(async (pair) => {
    const flag = join(pair.here.dir, "go-on");
    // The first time it waits for ever; the second time it finds that it has been tried before.
    const script = `echo builder runs; if [ -e ${flag} ]; then echo done > $out; else touch ${flag}; sleep 1000; fi`;
    const conf = `build-users-group =\nsubstitute = false\nmax-jobs = 0\nbuilders = ssh://machine x86_64-linux,aarch64-linux - 1 2 far ; ssh://root@machine x86_64-linux,aarch64-linux - 1 1 far\n`;
    writeFileSync(join(pair.here.dir, "conf", "nix.conf"), conf);
    const drv = instantiate(pair, "again", script);
    const { ended } = await startBuild(pair, drv);
    pair.there.killConnections("SIGKILL");
    const { status, stderr } = await ended;
    assert.equal(status, 0, stderr);
    assert.match(stderr, /cannot build on 'ssh:\/\/machine'/);
    assertNoSlotTaken(pair);
  }, buildConf),
);

test("a remote that dies during a build, and no other: a clear error", { skip }, () =>
  withPair(async (pair) => {
    const drv = instantiate(pair, "dies", "echo builder runs; sleep 1000");
    const { ended } = await startBuild(pair, drv);
    pair.there.killConnections("SIGKILL");
    const { status, stderr } = await ended;
    assert.equal(status, 1, stderr);
    assert.match(
      stderr,
      /builder for '\S+-dies\.drv' failed on 'ssh:\/\/machine': Connection to 'ssh:\/\/machine' broke/,
    );
    assertNoSlotTaken(pair);
    assert.equal(existsSync(join(pair.here.storeDir, "dies")), false);
  }, buildConf),
);

test("who interrupts a build here ends it there", { skip }, () =>
  withPair(async (pair) => {
    const pidFile = join(pair.here.dir, "pid");
    const drv = instantiate(pair, "interrupted", `echo $$ > ${pidFile}; echo builder runs; sleep 1000`);
    const { child, ended } = await startBuild(pair, drv);
    const pid = readFileSync(pidFile, "latin1").trim();
    child.kill("SIGINT");
    const { status } = await ended;
    assert.notEqual(status, 0);
    const deadline = Date.now() + 20_000;
    while (existsSync(`/proc/${pid}`) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(existsSync(`/proc/${pid}`), false, "the builder still runs");
    assertNoSlotTaken(pair);
  }, buildConf),
);
