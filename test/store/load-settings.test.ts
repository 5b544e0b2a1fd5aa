import assert from "node:assert/strict";
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fromText } from "../../src/formats/byte-string.ts";
import { BadConf } from "../../src/formats/nix-conf.ts";
import { BadSettingsPack } from "../../src/formats/settings/pack.ts";
import { BadSetting } from "../../src/formats/settings/settings.ts";
import { unknownSettingWarnings } from "../../src/formats/settings/unknown-settings.ts";
import { BadDirectory, directoriesFromEnvironment, type Environment } from "../../src/store/directories.ts";
import { loadSettings, maxConfSize } from "../../src/store/load-settings.ts";
import { machineFacts } from "../../src/store/machine-facts.ts";

/** Loads with files in a fresh directory, for which `@` stands in contents and environment. */
function load(files: Readonly<Record<string, string>>, env: Environment = {}) {
  const root = mkdtempSync(join(tmpdir(), "silo-settings-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), text.replaceAll("@", root));
    }
    const located: Environment = Object.fromEntries(
      Object.entries({ HOME: "@/home", NIX_CONF_DIR: "@/etc", XDG_CONFIG_DIRS: "@/xdg", ...env }).map(
        ([name, value]) => [name, value?.replaceAll("@", root)],
      ),
    );
    const { settings, warnings } = loadSettings(located, directoriesFromEnvironment(located));
    const shown = [...warnings, ...unknownSettingWarnings(settings)].map((line) => line.replaceAll(root, "@"));
    return { settings, warnings: shown };
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replaceAll(root, "@");
    throw error;
  } finally {
    rmSync(root, { recursive: true });
  }
}

function cores(files: Readonly<Record<string, string>>, env?: Environment): number {
  return load({ "etc/nix.conf": "cores = 101", ...files }, env).settings.get("cores");
}

test("no files, no settings", () => {
  const { settings, warnings } = load({});
  assert.deepEqual([settings.assigned.size, settings.unknown.size, warnings], [0, 0, []]);
  assert.equal(settings.get("max-jobs"), 1);
});

test("later places win", () => {
  assert.equal(cores({}), 101);
  assert.equal(cores({ "xdg/nix/nix.conf": "cores = 102" }), 102);
  assert.equal(cores({ "xdg/nix/nix.conf": "cores = 102", "home/.config/nix/nix.conf": "cores = 103" }), 103);
  assert.equal(cores({ "home/.config/nix/nix.conf": "cores = 103" }, { NIX_CONFIG: "timeout = 1\ncores = 104" }), 104);
  assert.equal(cores({ "config/nix/nix.conf": "cores = 105" }, { XDG_CONFIG_HOME: "@/config" }), 105);
  assert.equal(cores({ "home/.config/nix/nix.conf": "cores = 103" }, { XDG_CONFIG_HOME: "" }), 103);
  const dirs = { "a/nix/nix.conf": "cores = 106", "b/nix/nix.conf": "cores = 107" };
  assert.equal(cores(dirs, { XDG_CONFIG_DIRS: "@/a:@/b" }), 106);
});

test("NIX_USER_CONF_FILES takes the place of the user's files", () => {
  const files = { "home/.config/nix/nix.conf": "cores = 103", x: "cores = 104", y: "cores = 105\ntimeout = 7" };
  assert.equal(cores(files, { NIX_USER_CONF_FILES: "" }), 101);
  assert.equal(cores(files, { NIX_USER_CONF_FILES: "/dev/null" }), 101);
  assert.equal(cores(files, { NIX_USER_CONF_FILES: "@/x::@/y:" }), 104);
  assert.equal(load(files, { NIX_USER_CONF_FILES: "@/x:@/y" }).settings.get("timeout"), 7);
});

test("includes are relative to their file, and their lines are told", () => {
  const files = {
    "etc/nix.conf": "include sub/a.conf\n!include nothing\n",
    "etc/sub/a.conf": "include ../b.conf\nfoo = 1",
    "etc/b.conf": "\ncores = 7\n",
  };
  const { settings, warnings } = load(files);
  assert.equal(settings.get("cores"), 7);
  assert.deepEqual(warnings, [`unknown setting "foo" in "@/etc/sub/a.conf" line 2`]);
  assert.throws(() => load({ ...files, "etc/b.conf": "\ncores = x\n" }), {
    message: `Cannot set "cores" to "x" in "@/etc/b.conf" line 2: expected an integer from 0 to 4294967295`,
  });
  assert.throws(() => load({ "etc/nix.conf": "include nothing" }), {
    message: `Cannot read "@/etc/nix.conf": line 1: included file "nothing" not found`,
  });
  assert.throws(() => load({ "etc/nix.conf": "include nix.conf" }), BadConf);
  assert.throws(() => load({ "etc/nix.conf": "\na=b" }), {
    message: /^Cannot read "@\/etc\/nix.conf": line 2: illegal configuration line "a=b"/,
  });
});

test("NIX_CONFIG", () => {
  assert.throws(() => load({}, { NIX_CONFIG: "timeout = 1\ncores = x" }), {
    message: /in the environment variable NIX_CONFIG line 2:/,
  });
  assert.throws(() => load({}, { NIX_CONFIG: "cores" }), { message: /^Cannot read "NIX_CONFIG": line 1: illegal/ });
  assert.throws(() => load({}, { NIX_CONFIG: "include x" }), { message: /expected an absolute path/ });
  assert.equal(load({ x: "cores = 9" }, { NIX_CONFIG: "include @/x" }).settings.get("cores"), 9);
});

test("files that cannot be read are passed over, which one is told of unless it was optional", () => {
  const { settings, warnings } = load({
    "etc/nix.conf": "include .\n!include .\ncores = 8",
    "home/.config/nix/nix.conf/x": "",
  });
  assert.equal(settings.get("cores"), 8);
  assert.deepEqual(warnings, [
    `ignoring "@/etc": it cannot be read (EISDIR)`,
    `ignoring "@/home/.config/nix/nix.conf": it cannot be read (EISDIR)`,
  ]);
});

test("a file without end is an error", () => {
  assert.throws(() => load({}, { NIX_USER_CONF_FILES: "/dev/zero" }), {
    message: `Cannot read "/dev/zero": line 1: the file is longer than ${maxConfSize} bytes`,
  });
  const large = `${"# a long comment\n".repeat(50000)}cores = 6`;
  assert.equal(load({ "etc/nix.conf": large }).settings.get("cores"), 6);
});

test("bytes and names that are not ASCII", () => {
  assert.equal(
    load({ "é/nix.conf": "bash-prompt = é" }, { NIX_CONF_DIR: "@/é" }).settings.get("bash-prompt"),
    fromText("é"),
  );
  assert.equal(load({ "etc/nix.conf": "include é", "etc/é": "cores = 5" }).settings.get("cores"), 5);
});

test("_NIX_OPTIONS takes the place of files, as for 1.7's helpers", () => {
  const files = { "etc/nix.conf": "timeout = 5\ncores = 4", "home/.config/nix/nix.conf": "cores = 3" };
  const { settings } = load(files, { _NIX_OPTIONS: "build-cores=7\nuntrusted-x=1\n", NIX_CONFIG: "timeout = 8" });
  assert.deepEqual([settings.get("cores"), settings.get("timeout")], [7, 8]);
  assert.equal(load(files, { _NIX_OPTIONS: "" }).settings.get("cores"), 3);
  assert.throws(() => load({}, { _NIX_OPTIONS: "x" }), BadSettingsPack);
  assert.throws(() => load({}, { _NIX_OPTIONS: "cores=x" }), BadSetting);
});

test("a home of somebody else is not trusted", { skip: process.getuid?.() !== 0 && "needs root" }, () => {
  const home = mkdtempSync(join(tmpdir(), "silo-home-"));
  try {
    mkdirSync(join(home, ".config/nix"), { recursive: true });
    writeFileSync(join(home, ".config/nix/nix.conf"), "post-build-hook = /evil");
    const { settings: own } = load({}, { HOME: home, XDG_CONFIG_DIRS: "/nowhere" });
    assert.equal(own.get("post-build-hook"), "/evil");
    chownSync(home, 65534, 65534);
    const { settings, warnings } = load({}, { HOME: home, XDG_CONFIG_DIRS: "/nowhere" });
    assert.equal(settings.get("post-build-hook"), "");
    assert.deepEqual(warnings, [`HOME "${home}" is not owned by you, using the one in the user database`]);
  } finally {
    rmSync(home, { recursive: true });
  }
});

test("environment and machine decide defaults", () => {
  const { settings } = load({}, { NIX_REMOTE: "daemon", NIX_REMOTE_SYSTEMS: "/a:/b", SSL_CERT_FILE: "/certs" });
  assert.equal(settings.get("store"), "daemon");
  assert.equal(settings.get("builders"), "@/a;@/b");
  assert.equal(settings.get("ssl-cert-file"), "/certs");
  assert.match(load({}).settings.get("netrc-file"), /\/etc\/netrc$/);
  const facts = machineFacts({}, fromText("/c"));
  assert.ok(facts.cpuCount >= 1);
  assert.match(facts.system, /^[a-z0-9_]+-[a-z]+$/);
  for (const level of facts.cpuLevels) assert.match(level, /^x86_64-v[1-4]$/);
  assert.equal(facts.isRoot, process.getuid?.() === 0);
});

test("directories", () => {
  assert.deepEqual(directoriesFromEnvironment({}), {
    storeDir: "/nix/store",
    stateDir: "/nix/var/nix",
    logDir: "/nix/var/log/nix",
    dbDir: "/nix/var/nix/db",
    confDir: "/etc/nix",
    dataDir: "/usr/share",
    libexecDir: "/usr/libexec",
    binDir: "/usr/bin",
    daemonSocket: "/nix/var/nix/daemon-socket/socket",
  });
  const set = directoriesFromEnvironment({
    NIX_STORE_DIR: "",
    NIX_STORE: "/a//s/../t/",
    NIX_STATE_DIR: "/v/",
    NIX_LOG_DIR: "/é",
  });
  assert.deepEqual(
    [set.storeDir, set.stateDir, set.dbDir, set.logDir, set.daemonSocket],
    ["/a/t", "/v", "/v/db", fromText("/é"), "/v/daemon-socket/socket"],
  );
  assert.equal(directoriesFromEnvironment({ NIX_STORE: "/a", NIX_STORE_DIR: "/b" }).storeDir, "/b");
  assert.equal(directoriesFromEnvironment({ NIX_DAEMON_SOCKET_PATH: "/s" }).daemonSocket, "/s");
  for (const variable of ["NIX_STORE_DIR", "NIX_STATE_DIR", "NIX_CONF_DIR", "NIX_LOG_DIR"])
    for (const path of ["rel/x", ".", "/", "/a/.."])
      assert.throws(() => directoriesFromEnvironment({ [variable]: path }), BadDirectory);
  assert.throws(() => directoriesFromEnvironment({ NIX_STORE_DIR: "etc" }), {
    message: `Cannot use NIX_STORE_DIR "etc": expected an absolute path that is not the root directory`,
  });
});
