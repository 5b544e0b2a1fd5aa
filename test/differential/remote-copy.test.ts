/** Copies over a real sshd between silo and Nix, both ways, whoever is at which end. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type RemotePair, type Side, startRemotePair } from "../support/remote-pair.ts";
import { programLinks, skipWithoutSshd } from "../support/ssh-machine.ts";
import { siloProgram } from "../support/silo-binary.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const skip = skipWithoutSshd || skipWithoutNix;
const sides: readonly Side[] = ["silo", "nix"];

/** What there is to know of paths: as `--dump-db` has it, and the contents are what it says. */
const knownHere = ({ here }: RemotePair, paths: readonly string[]) => {
  here.nix(["--verify-path", ...paths]);
  return here.nix(["--dump-db", ...paths]).toString("latin1");
};
const knownThere = ({ there }: RemotePair, paths: readonly string[]) => {
  there.run("/usr/bin/nix-store", "--verify-path", ...paths);
  return there.run("/usr/bin/nix-store", "--dump-db", ...paths);
};

async function withPair(
  remote: Parameters<typeof startRemotePair>[0],
  use: (pair: RemotePair) => void | Promise<void>,
  options?: Parameters<typeof startRemotePair>[1],
): Promise<void> {
  const pair = await startRemotePair(remote, options);
  try {
    await use(pair);
  } finally {
    pair.close();
  }
}

for (const client of sides) {
  for (const remote of sides) {
    if (client === "nix" && remote === "nix") continue;
    test(`${client} copies to and from ${remote}`, { skip }, () =>
      withPair(remote, (pair) => {
        const paths = pair.addClosure("here");
        const top = paths.at(-1)!;
        const to = pair.run(client, "nix-copy-closure", ["--to", "machine", top]);
        assert.equal(to.status, 0, to.stderr);
        assert.match(to.stderr, /copying 3 paths/);
        const expected = knownHere(pair, paths);
        assert.equal(knownThere(pair, paths), expected);
        assert.equal(pair.run(client, "nix-copy-closure", ["machine", top]).status, 0, "again, with nothing to do");

        pair.here.nix(["--delete", ...paths]);
        assert.equal(existsSync(top), false);
        const from = pair.run(client, "nix-copy-closure", ["--from", "machine", top]);
        assert.equal(from.status, 0, from.stderr);
        assert.equal(knownHere(pair, paths), expected);
        assert.deepEqual(readFileSync(join(paths[0]!, "data")), Buffer.alloc(300_000, "some data "));
      }),
    );
  }
}

for (const remote of sides) {
  test(`silo copies to and from the daemon of ${remote} (ssh-ng)`, { skip }, () =>
    withPair(remote, (pair) => {
      const paths = pair.addClosure("here");
      const top = paths.at(-1)!;
      const to = pair.run("silo", "silo", ["copy", "--to", "ssh-ng://machine", top, "--json"]);
      assert.equal(to.status, 0, to.stderr);
      const copied: { paths: string[] } = JSON.parse(to.stdout);
      assert.deepEqual(copied.paths.toSorted(), paths.toSorted());
      const expected = knownHere(pair, paths);
      assert.equal(knownThere(pair, paths), expected);
      pair.here.nix(["--delete", ...paths]);
      const from = pair.run("silo", "silo", ["copy", "--from", "ssh-ng://machine", top]);
      assert.equal(from.status, 0, from.stderr);
      assert.equal(knownHere(pair, paths), expected);
    }),
  );
}

test("Nix copies to silo's daemon (ssh-ng)", { skip }, () =>
  withPair("silo", (pair) => {
    const paths = pair.addClosure("here");
    const args = [
      "--extra-experimental-features",
      "nix-command",
      "copy",
      "--no-check-sigs",
      "--to",
      "ssh-ng://machine",
      paths.at(-1)!,
    ];
    const to = pair.run("nix", "nix", args);
    assert.equal(to.status, 0, to.stderr);
    assert.equal(knownThere(pair, paths), knownHere(pair, paths));
  }),
);

test("signatures and content addresses come along", { skip }, () =>
  withPair("nix", (pair) => {
    const { here, there } = pair;
    const [key, pub] = [join(here.dir, "key"), join(here.dir, "pub")];
    here.nix(["--generate-binary-cache-key", "test-1", key, pub]);
    writeFileSync(join(here.dir, "f"), "x");
    const path = here
      .nix(["--add", join(here.dir, "f")])
      .toString()
      .trim();
    const nix = ["--extra-experimental-features", "nix-command"];
    pair.run("nix", "nix", [...nix, "store", "sign", "-k", key, path]);
    const infoHere = () => pair.run("nix", "nix", [...nix, "path-info", "--json", path]).stdout;
    const [before] = JSON.parse(infoHere());
    assert.ok(before.signatures.length === 1 && before.ca.startsWith("fixed:"), JSON.stringify(before));
    assert.equal(pair.run("silo", "nix-copy-closure", ["machine", path]).status, 0);
    const [there1] = JSON.parse(there.run("/usr/bin/nix", ...nix, "path-info", "--json", path));
    assert.deepEqual([there1.signatures, there1.ca], [before.signatures, before.ca]);
    here.nix(["--delete", path]);
    assert.equal(pair.run("silo", "nix-copy-closure", ["--from", "machine", path]).status, 0);
    const [after] = JSON.parse(infoHere());
    assert.deepEqual([after.signatures, after.ca, after.narHash], [before.signatures, before.ca, before.narHash]);
  }),
);

test("a derivation goes with its outputs when asked, and compressed", { skip }, () =>
  withPair("nix", (pair) => {
    const { here } = pair;
    const expression = `derivation { name = "d"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo out > $out" ]; }`;
    const drv = pair.run("nix", "nix-instantiate", ["-E", expression]).stdout.trim();
    const out = here.nix(["-r", drv]).toString().trim();
    assert.equal(pair.run("silo", "nix-copy-closure", ["machine", drv]).status, 0);
    assert.throws(() => knownThere(pair, [out]), /not valid/);
    const again = pair.run("silo", "nix-copy-closure", ["--gzip", "--include-outputs", "machine", drv]);
    assert.equal(again.status, 0, again.stderr);
    assert.equal(knownThere(pair, [drv, out]), knownHere(pair, [drv, out]));
    const from = pair.run("silo", "nix-copy-closure", ["--from", "--include-outputs", "--dry-run", "machine", drv]);
    assert.equal(from.status, 0, from.stderr);
  }),
);

test("what is not there is said, in both directions", { skip }, () =>
  withPair("nix", (pair) => {
    const missing = `${pair.here.storeDir}/${"0".repeat(32)}-missing`;
    const to = pair.run("silo", "nix-copy-closure", ["--to", "machine", missing]);
    assert.deepEqual([to.status, to.stderr], [1, `error: path '${missing}' is not valid\n`]);
    const from = pair.run("silo", "nix-copy-closure", ["--from", "machine", missing]);
    assert.equal(from.status, 1);
    assert.match(from.stderr, /^error: 'ssh:\/\/machine' says: .*0-missing.* is not valid\n$/);
  }),
);

test("a nix-store that does not serve is used as Nix 1.7 did", { skip }, () =>
  withPair(
    "other",
    (pair) => {
      const bin = join(pair.here.dir, "bin");
      mkdirSync(bin);
      writeFileSync(
        join(bin, "nix-store"),
        '#!/bin/sh\ncase "$1" in --serve) echo "error: unknown flag \\`--serve\'" >&2; exit 1;; esac\nexec /usr/bin/nix-store "$@"\n',
        { mode: 0o755 },
      );
      const paths = pair.addClosure("here");
      const top = paths.at(-1)!;
      const to = pair.run("silo", "nix-copy-closure", [`ssh://machine?remote-program=${bin}/nix-store`, top], {});
      assert.equal(to.status, 0, to.stderr);
      const expected = knownHere(pair, paths);
      assert.equal(knownThere(pair, paths), expected);
      pair.here.nix(["--delete", ...paths]);
      const from = pair.run("silo", "nix-copy-closure", [
        "--from",
        `ssh://machine?remote-program=${bin}/nix-store`,
        top,
      ]);
      assert.equal(from.status, 0, from.stderr);
      assert.equal(knownHere(pair, paths), expected);
    },
    { path: ["/usr/bin"] },
  ),
);

test("only what changed travels between two silos", { skip }, () =>
  withPair("silo", (pair) => {
    const { here } = pair;
    const source = join(here.dir, "pkg");
    mkdirSync(source);
    for (let i = 0; i < 100; i++) writeFileSync(join(source, `f${i}`), Buffer.alloc(20_000, `contents of ${i} `));
    const first = here.nix(["--add", source]).toString().trim();
    writeFileSync(join(source, "f7"), Buffer.alloc(20_000, "new contents"));
    const second = here.nix(["--add", source]).toString().trim();
    const counted = (args: readonly string[]) => {
      const before = loopbackBytes();
      const result = pair.run("silo", "nix-copy-closure", args);
      assert.equal(result.status, 0, result.stderr);
      return loopbackBytes() - before;
    };
    const full = counted(["machine", first]);
    const delta = counted(["machine", second]);
    assert.equal(knownThere(pair, [second]), knownHere(pair, [second]));
    // Other tests use the loopback, too: a bound that only the other order of size would break.
    assert.ok(delta < full / 2, `${delta} bytes instead of ${full}`);
    here.nix(["--delete", second]);
    const back = counted(["--from", "machine", second]);
    assert.equal(knownThere(pair, [second]), knownHere(pair, [second]));
    assert.ok(back < full / 2, `${back} bytes instead of ${full}`);
  }),
);

function loopbackBytes(): number {
  const line = readFileSync("/proc/net/dev", "utf8")
    .split("\n")
    .find((each) => each.includes("lo:"))!;
  return Number(line.split(":")[1]!.trim().split(/\s+/)[0]);
}

test("a program of Nix 1.7 asks download-via-ssh and fetches with it", { skip }, () =>
  withPair("nix", (pair) => {
    const paths = pair.addClosure("there");
    const [first, second, top] = paths as [string, string, string];
    const env = { _NIX_OPTIONS: "ssh-substituter-hosts=machine\n" };
    const program = programLinks(join(pair.here.dir, "bin"), siloProgram("download-via-ssh"), ["download-via-ssh"]);
    const script = `printf 'have ${first} ${top} \\ninfo ${top} \\n' | ${program}/download-via-ssh --query`;
    const { stdout, status } = pair.shell(script, env);
    assert.equal(status, 0);
    const size = pair.there.run("nix-store", "-q", "--size", top).trim();
    assert.deepEqual(stdout.split("\n"), [
      "",
      ...[first, top].sort(),
      "",
      top,
      "",
      "2",
      ...[second, first].sort(),
      size,
      size,
      "",
      "",
    ]);
    const got = join(pair.here.dir, "got");
    const fetched = pair.shell(`${program}/download-via-ssh --substitute ${first} ${got}`, env);
    assert.deepEqual([fetched.status, fetched.stdout], [0, "\n\n"], fetched.stderr);
    assert.deepEqual(readFileSync(join(got, "data")), Buffer.alloc(300_000, "some data "));
    assert.equal(
      pair.shell(`${program}/download-via-ssh --query < /dev/null`, {}).stdout,
      "",
      "switched off without a host",
    );
  }),
);
