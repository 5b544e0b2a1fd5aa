/** Where NIX_REMOTE and --store lead. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { locateStore, type StoreLocation, UnknownStore } from "../../src/applets/store-location.ts";
import { fromText } from "../../src/formats/byte-string.ts";
import { directoriesFromEnvironment } from "../../src/store/directories.ts";

const directories = directoriesFromEnvironment({ NIX_STATE_DIR: "/state", NIX_LOG_DIR: "/log" });
const locate = (text: string): StoreLocation => locateStore(fromText(text), directories);

function local(text: string) {
  const location = locate(text);
  assert.ok(location.kind === "local", `${text}: ${location.kind}`);
  const { storeDir, realStoreDir, stateDir, dbDir, logDir } = location.directories;
  return { storeDir, realStoreDir, stateDir, dbDir, logDir };
}

test("local stores", () => {
  const own = {
    storeDir: "/nix/store",
    realStoreDir: "/nix/store",
    stateDir: "/state",
    dbDir: "/state/db",
    logDir: "/log",
  };
  assert.deepEqual(local("local"), own);
  assert.deepEqual(local("local?state="), own);
  assert.deepEqual(local("local?state=/s&log=/l&real=/r"), {
    storeDir: "/nix/store",
    realStoreDir: "/r",
    stateDir: "/s",
    dbDir: "/s/db",
    logDir: "/l",
  });
  assert.equal(local("local?store=/other").storeDir, "/other");
  assert.equal(local("local?store=/other").realStoreDir, "/other");
  assert.equal(local("local?real=/with%20blank%ff").realStoreDir, "/with blank\xff");
});

test("chroot stores", () => {
  const below = (root: string) => ({
    storeDir: "/nix/store",
    realStoreDir: `${root}/nix/store`,
    stateDir: `${root}/nix/var/nix`,
    dbDir: `${root}/nix/var/nix/db`,
    logDir: `${root}/nix/var/log/nix`,
  });
  assert.deepEqual(local("/root/dir"), below("/root/dir"));
  assert.deepEqual(local("/root/./dir//"), below("/root/dir"));
  assert.deepEqual(local("local?root=/root/dir"), below("/root/dir"));
  assert.deepEqual(local("./dir"), below(join(process.cwd(), "dir")));
  assert.deepEqual(local("/root/dir?log=/l"), { ...below("/root/dir"), logDir: "/l" });
});

test("daemons and other machines", () => {
  assert.deepEqual(locate("daemon"), { kind: "daemon", socket: "/state/daemon-socket/socket" });
  assert.deepEqual(locate("unix:///run/socket"), { kind: "daemon", socket: "/run/socket" });
  assert.deepEqual(locate("ssh://user@host:22?compress=true"), {
    kind: "remote",
    scheme: "ssh",
    url: "ssh://user@host:22",
    parameters: new Map([["compress", "true"]]),
  });
  for (const scheme of ["ssh-ng", "http", "https", "file", "s3"]) {
    const location = locate(`${scheme}://x/y`);
    assert.ok(location.kind === "remote" && location.scheme === scheme);
  }
});

test("what is none", () => {
  for (const text of ["foo", "unix://", "unix://relative", "gopher://x", "locally"]) {
    assert.throws(() => locate(text), {
      constructor: UnknownStore,
      message: `don't know how to open Nix store '${text}'`,
    });
  }
});

test("auto: the daemon for those who may not write the state, where there is one", () => {
  const dir = mkdtempSync(join(tmpdir(), "silo-location-"));
  try {
    const stateDir = join(dir, "state");
    const found = directoriesFromEnvironment({ NIX_STATE_DIR: stateDir });
    assert.equal(locateStore(fromText(""), found).kind, "local");
    mkdirSync(join(stateDir, "daemon-socket"), { recursive: true });
    writeFileSync(join(stateDir, "daemon-socket/socket"), "");
    assert.equal(locateStore(fromText("auto"), found).kind, "local");
    if (process.geteuid!() === 0) return; // may write everything
    chmodSync(stateDir, 0o555);
    assert.equal(locateStore(fromText("auto"), found).kind, "daemon");
    chmodSync(stateDir, 0o755);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
