import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ByteString, fromText } from "../../src/formats/byte-string.ts";
import { canonicalPath } from "../../src/formats/settings/canonical-path.ts";
import type { Facts } from "../../src/formats/settings/facts.ts";
import {
  BadSetting,
  defaultSettings,
  defaultText,
  overriddenSettings,
  resolveName,
  settingText,
  withSetting,
  withSettings,
} from "../../src/formats/settings/settings.ts";
import { fromClient, fromCommandLine } from "../../src/formats/settings/source.ts";
import { aliasesOf, findSetting, type SettingName, settingNames, specOf } from "../../src/formats/settings/table.ts";
import { assignmentsOf, settingsOf, testFacts } from "../support/settings-facts.ts";

const otherFacts: Facts = {
  ...testFacts,
  system: "aarch64-darwin",
  cpuLevels: [],
  isLinux: false,
  isRoot: true,
  hasBuildGroup: true,
  hasKvm: false,
  remote: fromText(""),
  remoteSystems: fromText(":/a::/b:"),
  ignoresSymlinkedStore: true,
  certificateFile: fromText(""),
};

test("defaults", () => {
  const settings = defaultSettings(testFacts);
  assert.equal(settings.get("max-jobs"), 1);
  assert.equal(settings.get("cores"), 12);
  assert.equal(settings.get("sandbox"), true);
  assert.equal(settings.get("require-sigs"), true);
  assert.equal(settings.get("build-users-group"), "");
  assert.equal(settings.get("builders"), "@/etc/nix/machines");
  assert.equal(settings.get("store"), "auto");
  assert.deepEqual(settings.get("substituters"), ["https://cache.nixos.org/"]);
  assert.deepEqual(settings.get("system-features"), ["benchmark", "big-parallel", "kvm", "nixos-test"]);
  assert.deepEqual(settings.get("extra-platforms"), ["i686-linux", "x86_64-v1-linux", "x86_64-v2-linux"]);
  assert.equal(settings.get("impure-env").size, 0);
  assert.ok(settings.get("max-free") > 1.8e19);
  assert.equal(settingText(settings, "max-free"), "18446744073709551615");

  const other = defaultSettings(otherFacts);
  assert.equal(other.get("sandbox"), false);
  assert.equal(other.get("build-users-group"), "nixbld");
  assert.equal(other.get("builders"), "@/a;@/b");
  assert.equal(other.get("store"), "");
  assert.equal(other.get("allow-symlinked-store"), true);
  assert.deepEqual(other.get("extra-platforms"), []);
  assert.deepEqual(other.get("system-features"), ["benchmark", "big-parallel", "nixos-test"]);
  assert.equal(defaultSettings({ ...otherFacts, remoteSystems: fromText("") }).get("builders"), "");
});

test("facts are not looked at before a setting needs them", () => {
  const asked: string[] = [];
  const facts = new Proxy(testFacts, {
    get(target, key) {
      asked.push(String(key));
      return target[key as keyof Facts];
    },
  });
  const settings = withSettings(defaultSettings(facts), assignmentsOf([["timeout", "7"]]));
  assert.equal(settings.get("max-jobs"), 1);
  assert.deepEqual(asked, []);
  settings.get("system-features");
  assert.deepEqual(asked, ["hasKvm"]);
});

test("every default is canonical and of its kind, every name and alias finds its setting only", () => {
  const seen = new Set<string>();
  for (const name of settingNames()) {
    for (const facts of [testFacts, otherFacts])
      assert.equal(specOf(name).kind.normalise(defaultText(facts, name), facts), defaultText(facts, name), name);
    assert.match(specOf(name).help, /^[A-Z][^\n]{5,100}[^.\n]$/, name);
    for (const own of [name, ...aliasesOf(name)]) {
      assert.equal(findSetting(own), name);
      assert.ok(!seen.has(own), own);
      seen.add(own);
    }
  }
  for (const name of ["", "toString", "__proto__", "constructor", "CORES", "untrusted-cores"])
    assert.equal(findSetting(name), undefined);
});

test("1.7's names are aliases", () => {
  const settings = settingsOf([
    ["build-max-jobs", "4"],
    ["build-use-chroot", "relaxed"],
    ["binary-caches", "a"],
    ["extra-binary-caches", "b c"],
    ["gc-keep-outputs", "yes"],
  ]);
  assert.equal(settings.get("max-jobs"), 4);
  assert.equal(settings.get("sandbox"), "relaxed");
  assert.deepEqual(settings.get("substituters"), ["a", "b", "c"]);
  assert.equal(settings.get("keep-outputs"), true);
});

// value, canonical text as 2.8.0 shows it; undefined where 2.8.0 says that the value is invalid
const vectors: readonly (readonly [SettingName, string, string | undefined])[] = [
  ["fallback", "yes", "true"],
  ["fallback", "1", "true"],
  ["fallback", "no", "false"],
  ["fallback", "0", "false"],
  ["fallback", "True", undefined],
  ["fallback", "", undefined],
  ["sandbox", "relaxed", "relaxed"],
  ["sandbox", "yes", undefined],
  ["sandbox", "1", undefined],
  ["max-jobs", "auto", "12"],
  ["max-jobs", "4294967296", undefined],
  ["max-jobs", "-1", undefined],
  ["cores", "auto", undefined],
  ["cores", "+5", "5"],
  ["cores", "0000000000000000000000000000000005", "5"],
  ["cores", "-0", undefined],
  ["cores", "4294967295", "4294967295"],
  ["cores", "0x10", undefined],
  ["cores", " 3", undefined],
  ["cores", "1 2", undefined],
  ["timeout", "-5", "-5"],
  ["timeout", "-0", "0"],
  ["timeout", "+-5", undefined],
  ["timeout", "-9223372036854775808", "-9223372036854775808"],
  ["timeout", "9223372036854775808", undefined],
  ["max-free", "18446744073709551615", "18446744073709551615"],
  ["max-free", "18446744073709551616", undefined],
  ["max-free", `${"9".repeat(100000)}`, undefined],
  ["diff-hook", "/a//b/../c/", "/a/c"],
  ["diff-hook", "rel/x", undefined],
  ["diff-hook", "", ""],
  ["netrc-file", "rel//x", "rel//x"],
  ["substituters", " b  a\tb\n", "b a b"],
  ["sandbox-paths", "b=2 a=1 b=2 c b=3", "a=1 b=2 b=3 c"],
  ["access-tokens", "b=2 a=1 b=2 c b=3", "a=1 b=2"],
  ["access-tokens", "=x y= z d==4", "=x d==4 y="],
  ["bash-prompt", "a  b\nc ", "a  b\nc "],
];

test("values", () => {
  for (const [name, value, expected] of vectors) {
    const set = () =>
      settingText(withSetting(defaultSettings(testFacts), fromText(name), fromText(value), fromClient), name);
    if (expected === undefined) assert.throws(set, BadSetting, `${name} ${value.slice(0, 40)}`);
    else assert.equal(set(), expected, `${name} ${value}`);
  }
});

test("integers take the unit prefixes of today's Nix", () => {
  const settings = settingsOf([
    ["min-free", "5G"],
    ["gc-reserved-space", "1k"],
    ["max-free", "16777215T"],
  ]);
  assert.equal(settings.get("min-free"), 5 * 1024 ** 3);
  assert.equal(settings.get("gc-reserved-space"), 1024);
  assert.equal(settingText(settings, "max-free"), String(16777215n * 1024n ** 4n));
  assert.throws(() => settingsOf([["max-free", "16777216T"]]), BadSetting);
  assert.throws(() => settingsOf([["cores", "4G"]]), BadSetting);
  assert.throws(() => settingsOf([["cores", "K"]]), BadSetting);
  assert.throws(() => settingsOf([["cores", "1P"]]), BadSetting);
});

test("extra- adds to what is there, which may be the default", () => {
  const settings = settingsOf([
    ["extra-substituters", "b a"],
    ["extra-system-features", "kvm aaa"],
    ["extra-access-tokens", "b=1 a=2"],
    ["extra-access-tokens", "b=3"],
    ["extra-platforms", "p"],
    ["extra-extra-platforms", "q a"],
  ]);
  assert.deepEqual(settings.get("substituters"), ["https://cache.nixos.org/", "b", "a"]);
  assert.deepEqual(settings.get("system-features"), ["aaa", "benchmark", "big-parallel", "kvm", "nixos-test"]);
  assert.deepEqual(
    [...settings.get("access-tokens")],
    [
      ["a", "2"],
      ["b", "1"],
    ],
  );
  assert.deepEqual(settings.get("extra-platforms"), ["a", "p", "q"]);
  assert.deepEqual(resolveName("extra-platforms"), { setting: "extra-platforms", mode: "replace" });
  assert.equal(resolveName("extra-max-jobs"), undefined);
});

test("additions before a replacement are gone, and a great many are no matter", () => {
  const settings = settingsOf([
    ["extra-substituters", "x"],
    ["substituters", "a"],
    ["extra-substituters", "b"],
  ]);
  assert.deepEqual(settings.get("substituters"), ["a", "b"]);
  const many = settingsOf(Array.from({ length: 200_000 }, (_, i) => ["extra-sandbox-paths", `/${i}`] as const));
  assert.equal(many.get("sandbox-paths").length, 200_000);
});

test("what nobody knows is kept, the last of a name", () => {
  const settings = settingsOf([
    ["foo", "1  2"],
    ["extra-max-jobs", "3"],
    ["foo", "x"],
    ["__proto__", "y"],
  ]);
  assert.deepEqual(
    [...settings.unknown].map(([name, { text }]) => [name, text]),
    [
      ["foo", "x"],
      ["extra-max-jobs", "3"],
      ["__proto__", "y"],
    ],
  );
  assert.equal(settings.get("max-jobs"), 1);
});

test("setting makes a new value", () => {
  const one = settingsOf([["cores", "1"]]);
  const two = withSetting(one, fromText("cores"), fromText("2"), fromCommandLine);
  assert.deepEqual([one.get("cores"), two.get("cores")], [1, 2]);
});

test("errors name setting, value, place and what was expected", () => {
  const at = (source: Parameters<typeof settingsOf>[2], name = "build-cores", value = "many") => {
    try {
      settingsOf([[name, value]], testFacts, source);
      return "";
    } catch (error) {
      assert.ok(error instanceof BadSetting);
      return error.message;
    }
  };
  assert.equal(
    at({ kind: "file", scope: "system", file: fromText("/etc/nix/nix.conf"), line: 3 }),
    `Cannot set "build-cores" to "many" in "/etc/nix/nix.conf" line 3: expected an integer from 0 to 4294967295`,
  );
  assert.match(
    at({ kind: "environment", variable: "NIX_CONFIG", line: 2 }),
    /in the environment variable NIX_CONFIG line 2:/,
  );
  assert.match(
    at(fromCommandLine, "sandbox", "é\n"),
    /"sandbox" to "é\\n" on the command line: expected true, false or relaxed/,
  );
  assert.match(at(fromClient, "max-jobs"), /for the client: expected an integer, or "auto"/);
});

test("overrides are what the system's file did not set", () => {
  const system = withSettings(
    defaultSettings(testFacts),
    assignmentsOf(
      [
        ["cores", "3"],
        ["timeout", "4"],
      ],
      { kind: "file", scope: "system", file: fromText("/f"), line: 1 },
    ),
  );
  assert.deepEqual(overriddenSettings(system), []);
  const all = withSettings(
    system,
    assignmentsOf([
      ["timeout", "05"],
      ["keep-outputs", "yes"],
    ]),
  );
  assert.deepEqual(overriddenSettings(all), [
    ["keep-outputs", "true"],
    ["timeout", "5"],
  ]);
});

test("canonical text is a fixed point, whatever comes in", () => {
  const value = fc.oneof(
    fc.string({ unit: "binary" }).map(fromText),
    fc
      .array(fc.constantFrom("a", "b=1", "b=2", "=", " ", "\n", "-", "1", "0", "K", "/", "..", "true"))
      .map((parts) => parts.join("") as ByteString),
  );
  fc.assert(
    fc.property(fc.constantFrom(...settingNames()), value, (name, text) => {
      const { kind } = specOf(name);
      const canonical = kind.normalise(text, testFacts);
      if (canonical === undefined) return;
      assert.equal(kind.normalise(canonical, testFacts), canonical);
      kind.decode(canonical);
      JSON.parse(kind.printJson(canonical));
    }),
    { numRuns: 2000 },
  );
});

test("canonical paths", () => {
  for (const [path, expected] of [
    ["/", "/"],
    ["//", "/"],
    ["/a", "/a"],
    ["/a/", "/a"],
    ["/.a/..b/c.", "/.a/..b/c."],
    ["/a/./b/..//c", "/a/c"],
    ["/../..", "/"],
    ["a", undefined],
    ["", undefined],
  ] as const)
    assert.equal(canonicalPath(fromText(path)), expected, path);
});
