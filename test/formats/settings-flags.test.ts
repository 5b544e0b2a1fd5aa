import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SiloError, UsageError } from "../../src/error.ts";
import { applySettingFlags, splitSettingFlags } from "../../src/formats/settings/flags.ts";
import { BadSetting, defaultSettings } from "../../src/formats/settings/settings.ts";
import { bytes, testFacts } from "../support/settings-facts.ts";

function split(...args: string[]) {
  const { assignments, rest } = splitSettingFlags(bytes(...args));
  return [assignments.map(({ name, value }) => `${name}=${value}`), rest];
}

test("flags of all forms, in order", () => {
  assert.deepEqual(split("-r", "--cores", "3", "x", "--option", "a", "--b", "--extra-substituters", "u v", "-j", "4"), [
    ["cores=3", "a=--b", "extra-substituters=u v", "max-jobs=4"],
    ["-r", "x"],
  ]);
  assert.deepEqual(split("--fallback", "--no-keep-going", "-k", "-K", "-j8", "-jauto", "--no-build-hook"), [
    [
      "fallback=true",
      "keep-going=false",
      "keep-going=true",
      "keep-failed=true",
      "max-jobs=8",
      "max-jobs=auto",
      "builders=",
    ],
    [],
  ]);
  assert.deepEqual(
    split("--sandbox", "--no-sandbox", "--relaxed-sandbox", "--build-use-chroot", "--build-cores", "2"),
    [["sandbox=true", "sandbox=false", "sandbox=relaxed", "build-use-chroot=true", "build-cores=2"], []],
  );
  assert.deepEqual(split("--cores=3", "--fallback=no", "--substituters="), [
    ["cores=3", "fallback=no", "substituters="],
    [],
  ]);
});

test("what is no setting's stays", () => {
  const others = [
    "--query",
    "-q",
    "--no-cores",
    "--relaxed-fallback",
    "--no-no-fallback",
    "--extra-cores",
    "-jx",
    "-",
    "--no-",
    "--option=a",
  ];
  assert.deepEqual(split(...others), [[], others]);
  assert.deepEqual(split("--use-ssh-substituter", "--no-force-manifest"), [
    [],
    ["--use-ssh-substituter", "--no-force-manifest"],
  ]);
  assert.deepEqual(split("a", "--", "--cores", "3"), [[], ["a", "--", "--cores", "3"]]);
  const { assignments, rest } = splitSettingFlags(bytes("--substitute", "/p", "/d"), new Set(["--substitute"]));
  assert.deepEqual([assignments, rest], [[], ["--substitute", "/p", "/d"]]);
});

test("flags without their value", () => {
  assert.throws(() => split("--option", "a"), new UsageError(`Flag "--option" needs a name and a value after it`));
  assert.throws(() => split("--cores"), new UsageError(`Flag "--cores" needs a value after it`));
  assert.throws(() => split("-j"), UsageError);
});

test("applied, they win over what was set", () => {
  const before = defaultSettings(testFacts);
  const { settings, rest } = applySettingFlags(
    before,
    bytes("-r", "--max-jobs", "auto", "--extra-trusted-users", "me"),
  );
  assert.equal(settings.get("max-jobs"), 12);
  assert.deepEqual(settings.get("trusted-users"), ["root", "me"]);
  assert.deepEqual(rest, ["-r"]);
  assert.equal(applySettingFlags(before, bytes("-r")).settings, before);
  assert.throws(() => applySettingFlags(before, bytes("--cores", "x")), BadSetting);
});

test("any arguments are split or refused with a typed error", () => {
  const arg = fc.oneof(
    fc.constantFrom("--option", "--cores", "--no-sandbox", "--", "-j", "-j3", "--extra-substituters", "--no-", "--="),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(fc.array(arg), (args) => {
      try {
        const { assignments, rest } = splitSettingFlags(bytes(...args));
        assert.ok(assignments.length + rest.length <= args.length);
      } catch (error) {
        assert.ok(error instanceof SiloError, String(error));
      }
    }),
  );
});
