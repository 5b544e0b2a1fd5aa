/** Copies over ssh by users who may not open the store: through silo's daemon and that of stock Nix. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { programDirectory, type RemotePair, type Side, startRemotePair } from "../support/remote-pair.ts";
import { type RunningDaemon, startDaemon } from "../support/running-daemon.ts";
import { skipWithoutSshd } from "../support/ssh-machine.ts";
import { skipWithout, skipWithoutNix } from "../support/stock-nix.ts";

const skip = skipWithoutSshd || skipWithoutNix || skipWithout("setpriv", "--version");
const sides: readonly Side[] = ["silo", "nix"];
const uid = 31_960;

interface UserPair extends RemotePair {
  readonly daemon: RunningDaemon;
  /** Runs a program of silo's as the user. */
  asUser(program: string, args: readonly string[]): { status: number | null; stdout: string; stderr: string };
}

interface Setting {
  readonly daemon: Side;
  readonly remote: Side;
  readonly conf?: readonly string[];
}

async function withUser({ daemon, remote, conf = [] }: Setting, use: (pair: UserPair) => void | Promise<void>) {
  const pair = await startRemotePair(remote, { conf });
  const { here, there } = pair;
  let running: RunningDaemon | undefined;
  try {
    for (const dir of [here.dir, there.dir]) chmodSync(dir, 0o755);
    const home = join(here.dir, "home");
    mkdirSync(join(home, ".ssh"), { recursive: true });
    for (const [from, to] of [
      [join(there.dir, "user_key"), "id_ed25519"],
      [join(there.clientEnv["HOME"]!, ".ssh", "known_hosts"), "known_hosts"],
    ] as const) {
      copyFileSync(from, join(home, ".ssh", to));
      chmodSync(join(home, ".ssh", to), 0o600);
      chownSync(join(home, ".ssh", to), uid, uid);
    }
    writeFileSync(
      join(home, ".ssh", "config"),
      `Host machine\n  HostName 127.0.0.1\n  Port ${there.port}\n  User root\n  IdentityFile ${join(home, ".ssh", "id_ed25519")}\n  UserKnownHostsFile ${join(home, ".ssh", "known_hosts")}\n`,
    );
    here.nix(["--init"]); // without a state directory, a daemon of Nix's asks itself
    const socket = join(here.dir, "socket");
    const env = { ...here.env, NIX_DAEMON_SOCKET_PATH: socket };
    running = await startDaemon(daemon, { env, stateDir: here.directories.stateDir });
    await use({
      ...pair,
      daemon: running,
      asUser(program, args) {
        const command = [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", join(programDirectory("silo"), program)];
        return spawnSync("setpriv", [...command, ...args], {
          env: { ...env, HOME: home, NIX_REMOTE: "daemon" },
          encoding: "latin1",
          timeout: 60_000,
        });
      },
    });
  } finally {
    await running?.stop("SIGKILL");
    pair.close();
  }
}

const knownHere = ({ here }: RemotePair, paths: readonly string[]) => {
  here.nix(["--verify-path", ...paths]);
  return here.nix(["--dump-db", ...paths]).toString("latin1");
};
const knownThere = ({ there }: RemotePair, paths: readonly string[]) => {
  there.run("/usr/bin/nix-store", "--verify-path", ...paths);
  return there.run("/usr/bin/nix-store", "--dump-db", ...paths);
};

for (const daemon of sides) {
  for (const remote of sides) {
    for (const protocol of ["ssh", "ssh-ng"]) {
      test(`${daemon}'s daemon sends to ${remote} and takes from it, ${protocol}`, { skip }, () =>
        withUser({ daemon, remote, conf: [`trusted-users = root ${uid}`] }, (pair) => {
          const paths = pair.addClosure("here");
          const top = paths.at(-1)!;
          const expected = knownHere(pair, paths);
          const machine = `${protocol}://machine`;
          const dry = pair.asUser("nix-copy-closure", ["--dry-run", "--to", machine, top]);
          assert.equal(dry.status, 0, dry.stderr);
          assert.match(dry.stderr, /these 3 paths would be copied/);
          const to = pair.asUser("nix-copy-closure", ["--to", machine, top]);
          assert.equal(to.status, 0, to.stderr);
          assert.match(to.stderr, /copying 3 paths/);
          assert.equal(knownThere(pair, paths), expected);
          const again = pair.asUser("silo", ["copy", "--json", "--to", machine, top]);
          assert.deepEqual([again.status, JSON.parse(again.stdout).paths], [0, []], again.stderr);

          pair.here.nix(["--delete", ...paths]);
          const from = pair.asUser("silo", ["copy", "--json", "--from", machine, top]);
          assert.equal(from.status, 0, from.stderr);
          assert.deepEqual(JSON.parse(from.stdout).paths, paths);
          assert.equal(knownHere(pair, paths), expected);
        }),
      );
    }
  }
}

/** A pair of keys for these tests only, by `nix-store --generate-binary-cache-key`. */
const farKey = {
  secret: "far-1:PVNcOfitHxyWChV6zZCYw5X3J0paD/4VeShHII1rdYKPZ9PFUOpcKXIkX5CtEU3GKr9QcXw34KPmonHM2qZgAg==",
  public: "far-1:j2fTxVDqXClyJF+QrRFNxiq/UHF8N+Cj5qJxzNqmYAI=",
};

function signThere({ there }: RemotePair, paths: readonly string[]): void {
  const file = join(there.dir, "secret");
  writeFileSync(file, farKey.secret);
  const flags = ["--extra-experimental-features", "nix-command"];
  there.run("/usr/bin/nix", ...flags, "store", "sign", "--key-file", file, ...paths);
}

for (const daemon of sides) {
  test(`${daemon}'s daemon takes from a user whom it does not trust only what is signed`, { skip }, () =>
    withUser({ daemon, remote: "silo", conf: [`trusted-public-keys = ${farKey.public}`] }, (pair) => {
      const paths = pair.addClosure("there");
      const top = paths.at(-1)!;
      for (const protocol of ["ssh", "ssh-ng"]) {
        const refused = pair.asUser("nix-copy-closure", ["--from", `${protocol}://machine`, top]);
        assert.equal(refused.status, 1, refused.stderr);
        assert.match(
          refused.stderr,
          /error: 'daemon' says: cannot add path '.*' because it lacks a (valid )?signature/,
        );
        // The first is content-addressed, and so believed.
        for (const path of paths.slice(1)) assert.ok(!existsSync(path), path);
      }
      signThere(pair, paths);
      for (const protocol of ["ssh", "ssh-ng"]) {
        const taken = pair.asUser("nix-copy-closure", ["--from", `${protocol}://machine`, top]);
        assert.equal(taken.status, 0, taken.stderr);
        assert.match(knownHere(pair, paths), /./);
        pair.here.nix(["--delete", ...paths]);
      }
    }),
  );
}

test("what is not there, and a daemon that is not there", { skip }, () =>
  withUser({ daemon: "silo", remote: "silo" }, async (pair) => {
    const missing = `${pair.here.storeDir}/0123456789abcdfghijklmnpqrsvwxyz-none`;
    for (const direction of ["--to", "--from"]) {
      for (const protocol of ["ssh", "ssh-ng"]) {
        const { status, stderr } = pair.asUser("nix-copy-closure", [direction, `${protocol}://machine`, missing]);
        assert.equal(status, 1, stderr);
        assert.match(stderr, /^error: .*path '.*-none' is not valid/m);
      }
    }
    await pair.daemon.stop("SIGKILL");
    const { status, stderr } = pair.asUser("nix-copy-closure", ["machine", missing]);
    assert.equal(status, 1);
    assert.match(stderr, /error: cannot connect to the daemon at '.*\/socket'/);
  }),
);

for (const [direction, daemon] of [
  ["--to", "silo"],
  ["--from", "silo"],
  ["--to", "nix"],
  ["--from", "nix"],
] as const) {
  test(`a machine that is lost during a copy through ${daemon}'s daemon, ${direction}`, { skip }, () =>
    withUser({ daemon, remote: "silo", conf: [`trusted-users = root ${uid}`] }, (pair) => {
      const { here, there } = pair;
      const file = join(here.dir, "large");
      writeFileSync(file, randomBytes(20_000_000));
      const path = here.nix(["--add", file]).toString().trim();
      if (direction === "--from") {
        assert.equal(pair.asUser("nix-copy-closure", ["--to", "machine", path]).status, 0);
        here.nix(["--delete", path]);
      }
      // Its program dies when a third has gone through.
      const cut = "stdbuf -o0 head -c 7000000";
      const program =
        direction === "--to"
          ? `sh -c '${cut} | nix-store --serve --write' ;:`
          : `sh -c 'nix-store --serve --write | ${cut}' ;:`;
      const { status, stderr } = pair.asUser("nix-copy-closure", [
        direction,
        `ssh://machine?remote-program=${encodeURIComponent(program)}`,
        path,
      ]);
      assert.equal(status, 1, stderr);
      assert.match(stderr, /^error: 'ssh:\/\/machine.*'/m);
      if (direction === "--from") {
        if (daemon === "silo") assert.ok(!existsSync(path)); // Nix's leaves files that are not valid
        assert.deepEqual(here.rows(`select path from ValidPaths where path = '${path}'`), []);
      }
      if (direction === "--to")
        assert.equal(there.run("/usr/bin/nix-store", "--check-validity", "--print-invalid", path).trim(), path);
      const again = pair.asUser("nix-copy-closure", [direction, "machine", path]);
      assert.equal(again.status, 0, again.stderr);
    }),
  );
}
