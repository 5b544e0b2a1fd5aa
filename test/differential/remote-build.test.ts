/** Builds on other machines over a real sshd: silo's scheduler and Nix's, with silo's hook and without, silo and Nix at the other end. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { programDirectory, type RemotePair, type Side, startRemotePair } from "../support/remote-pair.ts";
import { skipWithoutSshd } from "../support/ssh-machine.ts";
import { skipWithoutNix } from "../support/stock-nix.ts";

const skip = skipWithoutSshd || skipWithoutNix;
const machine = "ssh://machine x86_64-linux,aarch64-linux - 2 1 far";

/** Nothing is built here: what needs `far` can be built over there only. */
async function withBuilder(
  remote: Side,
  conf: readonly string[],
  use: (pair: RemotePair) => void | Promise<void>,
): Promise<void> {
  const pair = await startRemotePair(remote, {
    conf: ["max-jobs = 0", `builders = ${machine}`, ...conf],
    nixConf: ["system-features = far", "substitute = false"],
  });
  try {
    await use(pair);
  } finally {
    pair.close();
  }
}

function instantiate({ here, run }: RemotePair, expression: string): string {
  const file = join(here.dir, "x.nix");
  writeFileSync(
    file,
    `let d = name: attrs: derivation ({ inherit name; system = builtins.currentSystem; builder = "/bin/sh"; requiredSystemFeatures = ["far"]; } // attrs); in ${expression}`,
  );
  const made = run("nix", "nix-instantiate", [file]);
  assert.equal(made.status, 0, made.stderr);
  return made.stdout.trim();
}

const closure = `d "top" {
  dep = d "dep" { args = [ "-c" "echo building dep >&2; echo dep > $out" ]; };
  src = builtins.toFile "in" "input";
  outputs = [ "out" "lib" ];
  args = [ "-c" "echo building top; read x < $dep; read y < $src; echo $x $y $dep > $out; echo $out > $lib" ];
}`;
const failing = `d "fails" { args = [ "-c" "echo oh no; exit 3" ]; }`;

const clients: readonly { readonly name: string; readonly side: Side; readonly conf: readonly string[] }[] = [
  { name: "silo", side: "silo", conf: [] },
  { name: "Nix with silo's hook", side: "nix", conf: [`build-hook = ${programDirectory("silo")}/build-remote`] },
  { name: "Nix with its own hook", side: "nix", conf: [] },
];

for (const { name, side, conf } of clients) {
  for (const remote of ["silo", "nix"] as const) {
    if (remote === "nix" && name === "Nix with its own hook") continue;
    test(`${name} builds on ${remote}`, { skip }, () =>
      withBuilder(remote, conf, (pair) => {
        const { here } = pair;
        const drv = instantiate(pair, closure);
        const built = pair.run(side, "nix-store", ["-r", drv]);
        assert.equal(built.status, 0, built.stderr);
        assert.match(built.stderr, /building dep/, "the log comes through");
        assert.match(built.stderr, /building top/);
        const outputs = built.stdout.trim().split("\n");
        const out = outputs.find((path) => path.endsWith("-top"))!;
        const dep = here.nix(["-q", "--references", out]).toString().trim();
        assert.equal(readFileSync(out, "latin1"), `dep input ${dep}\n`);
        here.nix(["--verify-path", ...outputs, dep]);
        for (const path of outputs) {
          assert.equal(here.nix(["-q", "--hash", path]).toString(), pair.there.run("nix-store", "-q", "--hash", path));
          assert.equal(here.nix(["-q", "--deriver", path]).toString().trim(), drv);
        }
        const failed = pair.run(side, "nix-store", ["-r", instantiate(pair, failing)]);
        assert.equal(failed.status, name === "Nix with its own hook" ? 1 : 100, failed.stderr);
        assert.match(failed.stderr, /oh no/);
        assert.match(failed.stderr, /failed with exit code 3/);
        assertNothingLeft(pair);
      }),
    );
  }
}

/** No slot is taken, no lock held, nothing half-finished in the store. */
function assertNothingLeft({ here, shell }: RemotePair): void {
  const left = readdirSync(here.storeDir).filter((name) => name !== ".links" && !name.endsWith(".lock"));
  const valid = here.nix(["-q", "--requisites", ...left.map((name) => join(here.storeDir, name))]);
  assert.ok(valid.length > 0);
  const load = join(here.env["NIX_STATE_DIR"]!, "current-load");
  if (!existsSync(load)) return;
  for (const file of readdirSync(load)) {
    assert.equal(shell(`flock -n '${join(load, file)}' true`).status, 0, `${file} is still taken`);
  }
}

test("the hook's protocol of Nix 1.7", { skip }, () =>
  withBuilder("nix", [], (pair) => {
    const { here, env } = pair;
    const load = join(here.dir, "load");
    const machines = join(here.dir, "machines");
    mkdirSync(load);
    writeFileSync(machines, "machine x86_64-linux - 1 1 far\n");
    const hook = join(programDirectory("silo"), "build-remote");
    const drv = instantiate(pair, closure);
    const more = { NIX_BUILD_HOOK: hook, NIX_REMOTE_SYSTEMS: machines, NIX_CURRENT_LOAD: load };
    writeFileSync(join(here.dir, "conf", "nix.conf"), "build-users-group =\nmax-jobs = 0\nsubstitute = false\n");
    const built = pair.run("silo", "nix-store", ["-r", drv], more);
    assert.equal(built.status, 0, built.stderr);
    assert.match(built.stderr, /building dep/);
    here.nix(["--verify-path", ...built.stdout.trim().split("\n")]);
    assert.deepEqual(readdirSync(load), ["x86_64-linux-machine-0"], "slots are called as Nix 1.7 calls them");
    const asked = pair.shell(
      `printf '0 riscv64-linux ${drv} far\\n1 x86_64-linux ${drv} other\\n' | ${hook} x86_64-linux 0 0 0`,
      { ...env, ...more },
    );
    assert.equal(asked.stderr, "# decline\n# decline\n");
  }),
);

test("many builds go over one connection, and slots bound how many run at once", { skip }, () =>
  withBuilder("nix", [], (pair) => {
    const builds = `map (i: d "b\${toString i}" { args = [ "-c" "echo $$ > $out" ]; inherit i; }) (builtins.genList (x: x) 20)`;
    const drvs = instantiate(pair, builds).split("\n");
    const built = pair.run("silo", "nix-store", ["-r", ...drvs]);
    assert.equal(built.status, 0, built.stderr);
    assert.equal(built.stdout.trim().split("\n").length, 20);
    assert.equal(pair.there.logins(), 1);
    assertNothingLeft(pair);
  }),
);

test("a machine that cannot be reached is passed over, and none left is an error", { skip }, () =>
  withBuilder("silo", [], (pair) => {
    const { here } = pair;
    const conf = (builders: string) =>
      writeFileSync(
        join(here.dir, "conf", "nix.conf"),
        `build-users-group =\nmax-jobs = 0\nsubstitute = false\nbuilders = ${builders}\n`,
      );
    conf(`ssh://127.0.0.1:1 x86_64-linux - 9 9 far ; ${machine}`);
    const drv = instantiate(pair, closure);
    const built = pair.run("silo", "nix-store", ["-r", drv]);
    assert.equal(built.status, 0, built.stderr);
    assert.match(built.stderr, /cannot build on 'ssh:\/\/127\.0\.0\.1:1': .*connection refused/);
  }),
);
