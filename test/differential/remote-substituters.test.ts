/** Stores behind ssh as substituters: for silo and for Nix, of silo, Nix and Nix 1.7. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type RemotePair, type Side, startRemotePair } from "../support/remote-pair.ts";
import { skipWithoutSshd } from "../support/ssh-machine.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const skip = skipWithoutSshd || skipWithoutNix;

async function withPair(
  remote: Parameters<typeof startRemotePair>[0],
  conf: readonly string[],
  use: (pair: RemotePair) => void,
  options: Parameters<typeof startRemotePair>[1] = {},
): Promise<void> {
  const pair = await startRemotePair(remote, { conf: ["substitute = true", ...conf], ...options });
  try {
    use(pair);
  } finally {
    pair.close();
  }
}

function assertSame(pair: RemotePair, paths: readonly string[]): void {
  pair.here.nix(["--verify-path", ...paths]);
  assert.equal(
    pair.here.nix(["--dump-db", ...paths]).toString(),
    pair.there.run("/usr/bin/nix-store", "--dump-db", ...paths),
  );
}

const cases: readonly { client: Side; remote: Side; scheme: string }[] = [
  { client: "silo", remote: "silo", scheme: "ssh" },
  { client: "silo", remote: "nix", scheme: "ssh" },
  { client: "nix", remote: "silo", scheme: "ssh" },
  { client: "silo", remote: "nix", scheme: "ssh-ng" },
  { client: "nix", remote: "silo", scheme: "ssh-ng" },
];

for (const { client, remote, scheme } of cases) {
  test(`${client} substitutes from ${scheme}://, ${remote} at the other end`, { skip }, () =>
    withPair(remote, [`substituters = ${scheme}://machine`, "require-sigs = false"], (pair) => {
      const paths = pair.addClosure("there");
      const fetched = pair.run(client, "nix-store", ["-r", paths.at(-1)!]);
      assert.equal(fetched.status, 0, fetched.stderr);
      assert.equal(fetched.stdout.trim(), paths.at(-1));
      assertSame(pair, paths);
    }),
  );
}

test("a path that nobody has signed is not taken", { skip }, () =>
  withPair("nix", ["substituters = ssh://machine"], (pair) => {
    const [first, , top] = pair.addClosure("there");
    const refused = pair.run("silo", "nix-store", ["-r", top!]);
    assert.notEqual(refused.status, 0);
    assert.equal(existsSync(top!), false);
    // One that is addressed by its contents needs no signature.
    const taken = pair.run("silo", "nix-store", ["-r", first!]);
    assert.equal(taken.status, 0, taken.stderr);
  }),
);

test("Nix 1.7's ssh-substituter-hosts, whom it believes, and a Nix 1.7 over there", { skip }, () =>
  withPair(
    "other",
    ["substituters =", "use-ssh-substituter = true", "ssh-substituter-hosts = machine"],
    (pair) => {
      const bin = join(pair.there.dir, "old");
      mkdirSync(bin);
      const script = new URL("../support/old-nix-store.ts", import.meta.url).pathname;
      writeFileSync(join(bin, "nix-store"), `#!/bin/sh\nexec ${process.execPath} ${script} "$@"\n`, { mode: 0o755 });
      pair.there.setPath([bin, "/usr/bin"]);
      const paths = pair.addClosure("there");
      const top = paths.at(-1)!;
      const fetched = pair.run("silo", "nix-store", ["-r", top]);
      assert.equal(fetched.status, 0, fetched.stderr);
      assertSame(pair, paths);
      pair.here.nix(["--delete", ...paths]);
      const copied = pair.run("silo", "nix-copy-closure", ["--from", "machine", top]);
      assert.equal(copied.status, 0, copied.stderr);
      assertSame(pair, paths);
    },
    { path: ["/usr/bin"] },
  ),
);

test("a substituter that cannot be reached is passed over, and said once", { skip }, () =>
  withPair("nix", ["substituters = ssh://127.0.0.1:1 ssh://machine", "require-sigs = false"], (pair) => {
    const paths = pair.addClosure("there");
    const fetched = pair.run("silo", "nix-store", ["-r", paths.at(-1)!]);
    assert.equal(fetched.status, 0, fetched.stderr);
    assert.equal(
      fetched.stderr.split("substituter 'ssh://127.0.0.1:1' is not used for a while").length,
      2,
      fetched.stderr,
    );
    assertSame(pair, paths);
  }),
);
