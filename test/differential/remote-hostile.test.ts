/** Machines that lie: nothing of it gets into the store, and a clear error says what was wrong. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { type RemotePair, startRemotePair } from "../support/remote-pair.ts";
import { skipWithoutSshd } from "../support/ssh-machine.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const skip = skipWithoutSshd || skipWithoutNix;
const server = join(dirname(fileURLToPath(import.meta.url)), "../support/hostile-server.ts");

async function withPair(use: (pair: RemotePair) => void | Promise<void>): Promise<void> {
  const pair = await startRemotePair("silo", { nixConf: ["system-features = far"] });
  try {
    await use(pair);
  } finally {
    pair.close();
  }
}

function liar({ here }: RemotePair, lie: string): string {
  const program = `${process.execPath} ${server} ${lie} ${here.storeDir}`;
  return `ssh://machine?remote-program=${encodeURIComponent(program)}`;
}

/** What is in the store directory, other than its links and locks. */
function storeContents({ here }: RemotePair): string[] {
  return readdirSync(here.storeDir).filter((name) => name !== ".links" && !name.endsWith(".lock"));
}

const lies: readonly (readonly [lie: string, message: RegExp])[] = [
  ["other-contents", /hash mismatch importing path/],
  ["other-size", /size mismatch importing path/],
  ["name-dots", /NAR.*'?\.\.'?/],
  ["name-slash", /NAR.*escaped/],
  ["name-twice", /NAR.*order|NAR.*twice/],
  ["huge-file", /NAR.*(4611686018427387904|too large|size)/],
  ["missing-reference", /-missing' is not valid/],
  ["planted", /nobody has asked about '.*-planted'/],
  ["endless-list", /1125899906842624 is too large/],
  ["escapes", /'ssh:\/\/machine' says: .*gone/],
];

test("what a machine says of paths that are fetched from it", { skip }, () =>
  withPair((pair) => {
    const path = `${pair.here.storeDir}/0123456789abcdfghijklmnpqrsvwxyz-wanted`;
    for (const [lie, message] of lies) {
      const { status, stderr } = pair.run("silo", "nix-copy-closure", ["--from", liar(pair, lie), path]);
      assert.equal(status, 1, `${lie}: ${stderr}`);
      assert.match(stderr, message, lie);
      assert.doesNotMatch(stderr, /[\x00-\x08\x0b-\x1f]|\n\s+at /, lie);
      assert.deepEqual(storeContents(pair), [], lie);
      assert.equal(pair.here.rows("select path from ValidPaths").length, 0, lie);
    }
    assert.equal(existsSync(join(pair.here.dir, "escaped")), false);
    const honest = pair.run("silo", "nix-copy-closure", ["--from", liar(pair, "none"), path]);
    assert.equal(honest.status, 0, honest.stderr);
  }),
);

test("what a machine says that it has built", { skip }, () =>
  withPair((pair) => {
    const made = pair.run("nix", "nix-instantiate", [
      "-E",
      `derivation { name = "out"; system = builtins.currentSystem; builder = "/bin/sh"; requiredSystemFeatures = ["far"]; }`,
    ]);
    const drv = made.stdout.trim();
    const before = storeContents(pair);
    for (const [lie, message] of lies) {
      if (lie === "endless-list" || lie === "escapes") continue;
      const builder = `${liar(pair, lie)} x86_64-linux,aarch64-linux - 1 1 far`;
      writeFileSync(
        join(pair.here.dir, "conf", "nix.conf"),
        `build-users-group =\nsubstitute = false\nmax-jobs = 0\nbuilders = ${builder}\n`,
      );
      const { status, stderr } = pair.run("silo", "nix-store", ["-r", drv]);
      assert.equal(status, 1, `${lie}: ${stderr}`);
      assert.match(stderr, message, lie);
      assert.deepEqual(storeContents(pair), before, lie);
      assert.deepEqual(pair.here.rows("select path from ValidPaths"), [[drv]], lie);
    }
  }),
);

for (const lie of ["hang", "endless-stderr", "hang-in-nar"]) {
  test(`a machine that greets and then says nothing: ${lie}`, { skip }, () =>
    withPair((pair) => {
      const conf = (...lines: string[]) =>
        writeFileSync(
          join(pair.here.dir, "conf", "nix.conf"),
          ["build-users-group =", "substitute = false", "stalled-download-timeout = 2", ...lines, ""].join("\n"),
        );
      conf();
      const path = `${pair.here.storeDir}/0123456789abcdfghijklmnpqrsvwxyz-wanted`;
      const copy = pair.run("silo", "nix-copy-closure", ["--from", liar(pair, lie), path]);
      assert.equal(copy.status, 1, copy.stderr);
      assert.match(copy.stderr, /^error: 'ssh:\/\/machine.*' does not answer: nothing came for 2 seconds$/m);
      assert.deepEqual(storeContents(pair), []);

      const made = pair.run("nix", "nix-instantiate", [
        "-E",
        `derivation { name = "out"; system = builtins.currentSystem; builder = "/bin/sh"; requiredSystemFeatures = ["far"]; src = builtins.toFile "s" "x"; args = [ "-c" "echo done > $out" ]; }`,
      ]);
      const systems = "x86_64-linux,aarch64-linux";
      conf(
        "max-jobs = 0",
        "system-features = far",
        `builders = ${liar(pair, lie)} ${systems} - 1 9 far ; ssh://machine ${systems} - 1 1 far`,
      );
      const build = pair.run("silo", "nix-store", ["-r", made.stdout.trim()]);
      assert.equal(build.status, 0, build.stderr);
      assert.match(build.stderr, /cannot build on 'ssh:\/\/machine\?.*': .*nothing came for 2 seconds/);
    }),
  );
}
