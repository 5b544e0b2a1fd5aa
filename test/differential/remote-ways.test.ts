/** Ways to a machine: kinds of keys, through another machine, compressed; each with a copy there and back. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type RemotePair, startRemotePair } from "../support/remote-pair.ts";
import { skipWithoutSshd } from "../support/ssh-machine.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const skip = skipWithoutSshd || skipWithoutNix;

async function withPair(use: (pair: RemotePair, configFile: string) => void): Promise<void> {
  const pair = await startRemotePair("silo");
  try {
    use(pair, join(pair.env["HOME"]!, ".ssh", "config"));
  } finally {
    pair.close();
  }
}

function copyThereAndBack({ here, there, run }: RemotePair, host: string): void {
  const file = join(here.dir, "large");
  writeFileSync(file, Buffer.concat([randomBytes(3_000_000), Buffer.alloc(3_000_000)]));
  const path = here.nix(["--add", file]).toString().trim();
  const to = run("silo", "nix-copy-closure", ["--to", host, path]);
  assert.equal(to.status, 0, `${host}: ${to.stderr}`);
  there.run("/usr/bin/nix-store", "--verify-path", path);
  here.nix(["--delete", path]);
  const from = run("silo", "nix-copy-closure", ["--from", host, path]);
  assert.equal(from.status, 0, `${host}: ${from.stderr}`);
  assert.ok(readFileSync(path).equals(readFileSync(file)));
}

test("keys of every kind", { skip }, () =>
  withPair((pair) => {
    for (const [type, ...options] of [
      ["rsa", "-b", "2048"],
      ["rsa", "-b", "2048", "-m", "PEM"],
      ["ecdsa", "-b", "256"],
      ["ecdsa", "-b", "521"],
      ["ed25519"],
    ]) {
      const key = join(pair.here.dir, ["key", type, ...options].join("-"));
      const made = spawnSync("ssh-keygen", ["-q", "-t", type!, ...options, "-N", "", "-f", key]);
      assert.equal(made.status, 0, String(made.stderr));
      appendFileSync(join(pair.there.dir, "user_key.pub"), readFileSync(`${key}.pub`));
      copyThereAndBack(pair, `ssh://machine?ssh-key=${key}`);
    }
  }),
);

test("through another machine, and compressed", { skip }, () =>
  withPair((pair, configFile) => {
    const config = readFileSync(configFile, "latin1");
    writeFileSync(
      join(pair.there.dir, "behind"),
      config.replace("Host machine\n", "Host behind\n  ProxyJump machine\n"),
    );
    const compressed = config.replace("Host machine\n", "Host compressed\n  Compression yes\n");
    writeFileSync(configFile, `Include ${join(pair.there.dir, "behind")}\n${compressed}\n${config}`);
    copyThereAndBack(pair, "behind");
    copyThereAndBack(pair, "ssh-ng://behind");
    copyThereAndBack(pair, "compressed");
    const gzip = pair.run("silo", "nix-copy-closure", ["--gzip", "--to", "machine", pair.addClosure("here").at(-1)!]);
    assert.equal(gzip.status, 0, gzip.stderr);
  }),
);
