import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { BadSshOptions, parseSshOptions, splitWords } from "../../src/remote/ssh/ssh-options.ts";
import { BadSshTarget, resolveSshTarget, type SshAddress } from "../../src/remote/ssh/ssh-target.ts";
import { BadSshConfig } from "../../src/remote/ssh/ssh-config-files.ts";

test("options of the ssh program", () => {
  assert.deepEqual(parseSshOptions("-p 2222 -i/key -o 'ProxyJump = a,b' -oUser=\"bob\" -CTx -F none -S /socket -J c"), {
    settings: [
      ["port", "2222"],
      ["identityfile", "/key"],
      ["proxyjump", "a,b"],
      ["user", "bob"],
      ["compression", "yes"],
      ["proxyjump", "c"],
    ],
    configFile: "none",
  });
  assert.deepEqual(parseSshOptions(""), { settings: [], configFile: undefined });
  for (const text of ["host", "-p", "-Z", "-o nothing", "-i 'open", "\\"]) {
    assert.throws(() => parseSshOptions(text), BadSshOptions, text);
  }
});

test("words as a shell splits them", () => {
  assert.deepEqual(splitWords(` a 'b c'"d\\"e" \\  ''\tf\\g `), ["a", `b cd"e`, " ", "", "fg"]);
});

const nobody: SshAddress = {
  host: "machine",
  port: undefined,
  user: undefined,
  sshKey: undefined,
  hostKey: undefined,
  compress: false,
  connectTimeoutMs: 0,
};

function withHome<T>(config: string, use: (home: string) => T): T {
  const home = mkdtempSync(join(tmpdir(), "silo-home-"));
  try {
    mkdirSync(join(home, ".ssh"));
    writeFileSync(join(home, ".ssh", "config"), config);
    return use(home);
  } finally {
    rmSync(home, { recursive: true });
  }
}

test("the address comes before NIX_SSHOPTS, and that before the configuration", () => {
  const config = `
Host machine other
  HostName 192.0.2.7
  Port 2200
  User carol
  IdentityFile ~/.ssh/special
  UserKnownHostsFile ~/hosts "/with space/%h"
  StrictHostKeyChecking accept-new
Host *
  IdentityFile %d/general
  ServerAliveInterval 5
`;
  withHome(config, (HOME) => {
    const target = resolveSshTarget(nobody, { HOME });
    assert.equal(target.host, "192.0.2.7");
    assert.deepEqual([target.port, target.user, target.keepAliveMs], [2200, "carol", 5000]);
    assert.deepEqual(
      target.identities.map(({ file }) => file),
      [`${HOME}/.ssh/special`, `${HOME}/general`],
    );
    assert.equal(target.hostKeys.checking, "accept-new");
    assert.equal(target.hostKeys.writeTo, `${HOME}/hosts`);

    const options = resolveSshTarget(nobody, { HOME, NIX_SSHOPTS: "-p 99 -l dave -i /k" });
    assert.deepEqual([options.port, options.user, options.identities[0]?.file], [99, "dave", "/k"]);
    const address = resolveSshTarget(
      { ...nobody, port: 1, user: "eve", sshKey: "/mine" },
      { HOME, NIX_SSHOPTS: "-p 99 -l dave" },
    );
    assert.deepEqual(
      [address.port, address.user, address.identities[0]],
      [1, "eve", { file: "/mine", explicit: true }],
    );
    const without = resolveSshTarget(nobody, { HOME, NIX_SSHOPTS: "-F none" });
    assert.deepEqual([without.host, without.port, without.hostKeys.checking], ["machine", 22, "strict"]);
    assert.deepEqual(
      without.identities.map(({ file }) => file.slice(file.lastIndexOf("/") + 1)),
      ["id_rsa", "id_ecdsa", "id_ed25519"],
    );
  });
});

test("jumps, with their own configuration, in order", () => {
  const config =
    "Host inner\n  ProxyJump bob@first:2201,second\nHost second\n  Port 2202\nHost loop\n  ProxyJump loop\n";
  withHome(config, (HOME) => {
    const { jumps } = resolveSshTarget({ ...nobody, host: "inner" }, { HOME });
    assert.deepEqual(
      jumps.map(({ host, port, user }) => [host, port, user]),
      [
        ["first", 2201, "bob"],
        ["second", 2202, jumps[1]!.user],
      ],
    );
    assert.throws(() => resolveSshTarget({ ...nobody, host: "loop" }, { HOME }), BadSshTarget);
  });
});

test("included files, and what follows them in the block they are in", () => {
  withHome("Host machine\n  Include extra*\n  Port 7\nHost *\n  User last\n", (HOME) => {
    writeFileSync(join(HOME, ".ssh", "extra.conf"), "User included\nHost unrelated\n  Port 9\n");
    const { user, port } = resolveSshTarget(nobody, { HOME });
    assert.deepEqual([user, port], ["included", 7]);
  });
  withHome("Include config\n", (HOME) => {
    assert.throws(() => resolveSshTarget(nobody, { HOME }), BadSshConfig);
  });
  withHome('Host "open\n', (HOME) => {
    assert.throws(() => resolveSshTarget(nobody, { HOME }), BadSshConfig);
  });
});

test("names that are options for a program are refused", () => {
  assert.throws(() => resolveSshTarget({ ...nobody, host: "-oProxyCommand=evil" }, { HOME: "/nowhere" }), BadSshTarget);
});
