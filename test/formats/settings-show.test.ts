import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SiloError } from "../../src/error.ts";
import { type ByteString, fromText } from "../../src/formats/byte-string.ts";
import { printSettingHelp, printSettingsHelp, printSettingsMarkdown } from "../../src/formats/settings/document.ts";
import { BadSettingsPack, packSettings, unpackSettings } from "../../src/formats/settings/pack.ts";
import { defaultSettings, settingText, withSettings } from "../../src/formats/settings/settings.ts";
import { printSettings, printSettingsJson } from "../../src/formats/settings/show.ts";
import { settingNames } from "../../src/formats/settings/table.ts";
import { suggestSetting, unknownSettingWarnings } from "../../src/formats/settings/unknown-settings.ts";
import { settingsOf, testFacts } from "../support/settings-facts.ts";

test("text, as show-config", () => {
  const lines = printSettings(settingsOf([["extra-substituters", "x"]])).split("\n");
  assert.ok(lines.includes("substituters = https://cache.nixos.org/ x"));
  assert.ok(lines.includes("max-free = 18446744073709551615"));
  assert.ok(lines.includes("sandbox-paths = "));
  assert.deepEqual(lines.slice(0, -1), lines.slice(0, -1).sort());
  assert.ok(!lines.some((line) => line.startsWith("use-ssh-substituter")));
  assert.match(printSettings(settingsOf([["use-ssh-substituter", "1"]])), /^use-ssh-substituter = true$/m);
});

test("JSON, as show-config", () => {
  const text = printSettingsJson(
    settingsOf([
      ["sandbox", "relaxed"],
      ["access-tokens", "a=b"],
      ["bash-prompt", 'é"'],
    ]),
  );
  const json = JSON.parse(text);
  assert.deepEqual(json["sandbox"], {
    aliases: ["build-use-chroot", "build-use-sandbox"],
    defaultValue: true,
    description: "Isolate builds; relaxed leaves out those that ask for it",
    documentDefault: false,
    value: "relaxed",
  });
  assert.deepEqual(json["access-tokens"].value, { a: "b" });
  assert.deepEqual(json["sandbox-paths"].value, []);
  assert.equal(json["bash-prompt"].value, 'é"');
  assert.equal(json["cores"].value, 12);
  assert.match(text, /"defaultValue":18446744073709551615,/);
});

test("documentation has every setting once", () => {
  const markdown = printSettingsMarkdown();
  for (const name of settingNames()) assert.equal(markdown.split(`- **\`${name}\`**:`).length, 2, name);
  assert.match(
    markdown,
    /\*\*`cores`\*\*: CPUs that a build may use.*\n {2}Value: an integer.* Default: number of CPUs\. Also: `build-cores`\./,
  );
  assert.match(markdown, /\*\*`timeout`\*\*.*\n.*Default: `0`\./);
  assert.equal(printSettingsHelp().split("\n").length, settingNames().length * 2 + 1);
  assert.equal(
    printSettingHelp("sandbox-fallback"),
    "sandbox-fallback: true or false; default true\n    Build without a sandbox when the kernel allows none\n",
  );
});

test("pack uses 1.7's names and values", () => {
  const settings = settingsOf([
    ["max-jobs", "auto"],
    ["sandbox", "relaxed"],
    ["keep-outputs", "yes"],
    ["trusted-users", "a b"],
    ["binary-cache-public-key-x", "/k"],
    ["builders", "a\nb"],
  ]);
  assert.equal(
    packSettings(settings),
    "binary-cache-public-key-x=/k\nbuild-max-jobs=12\nbuild-use-chroot=true\ngc-keep-outputs=true\ntrusted-users=a b\n",
  );
  assert.throws(() => packSettings(settingsOf([["foo", "a\nb"]])), BadSettingsPack);
  assert.throws(() => packSettings(settingsOf([["f=oo", "a"]])), BadSettingsPack);
});

test("unpack", () => {
  const source = { kind: "environment", variable: "_NIX_OPTIONS" };
  assert.deepEqual(unpackSettings("a=b=c\n\nx=" as ByteString), [
    { name: "a", value: "b=c", source },
    { name: "x", value: "", source },
  ]);
  assert.throws(() => unpackSettings("a" as ByteString), BadSettingsPack);
  assert.throws(() => unpackSettings("=a" as ByteString), BadSettingsPack);
});

test("unpack undoes pack, and takes any text", () => {
  const name = fc.oneof(
    fc.constantFrom("cores", "substituters", "timeout", "sandbox-paths"),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.constantFrom("1", "2", "7 8", "x=y"))), (pairs) => {
      try {
        const settings = settingsOf(pairs);
        const again = withSettings(defaultSettings(testFacts), unpackSettings(packSettings(settings)));
        for (const own of settingNames()) assert.equal(settingText(again, own), settingText(settings, own));
        assert.deepEqual([...again.unknown.keys()].sort(), [...settings.unknown.keys()].sort());
      } catch (error) {
        assert.ok(error instanceof SiloError, String(error));
      }
    }),
  );
});

test("warnings about unknown names", () => {
  const settings = settingsOf(
    [
      ["max-job", "1"],
      ["untrusted-cores", "1"],
      ["binary-cache-public-key-x", "/k"],
      ["extra-max-jobs", "2"],
      ["frobnicate", "é"],
    ],
    testFacts,
    { kind: "file", scope: "user", file: fromText("/é"), line: 9 },
  );
  assert.deepEqual(unknownSettingWarnings(settings), [
    `unknown setting "max-job" in "/é" line 9, did you mean "max-jobs"?`,
    `unknown setting "extra-max-jobs" in "/é" line 9: "max-jobs" has one value, nothing can be added to it`,
    `unknown setting "frobnicate" in "/é" line 9`,
  ]);
  const many = settingsOf(Array.from({ length: 3000 }, (_, i) => [`max-jobs${i}`, ""] as const));
  assert.equal(unknownSettingWarnings(many).length, 3000);
});

test("suggestions", () => {
  assert.equal(suggestSetting("trusted_users"), "trusted-users");
  assert.equal(suggestSetting("Sandbox"), "sandbox");
  assert.equal(suggestSetting("build-max-job"), "build-max-jobs");
  assert.equal(suggestSetting("extra-substituter"), "extra-substituters");
  assert.equal(suggestSetting("x"), undefined);
  assert.equal(suggestSetting("y".repeat(100000)), undefined);
});
