import assert from "node:assert/strict";
import { test } from "node:test";
import { type ByteString, fromText } from "../../src/formats/byte-string.ts";
import { applyClientSettings, settingsForDaemon, type Trust } from "../../src/formats/settings/client-settings.ts";
import { packSettings } from "../../src/formats/settings/pack.ts";
import { withSettings } from "../../src/formats/settings/settings.ts";
import { assignmentsOf, settingsOf, testFacts } from "../support/settings-facts.ts";

const daemon = settingsOf(
  [
    ["substituters", "https://a/ https://b"],
    ["trusted-substituters", "https://c/"],
  ],
  testFacts,
  { kind: "file", scope: "system", file: fromText("/etc/nix/nix.conf"), line: 1 },
);

function apply(trust: Trust, ...sent: [string, string][]) {
  return applyClientSettings(
    daemon,
    sent.map(([name, value]): [ByteString, ByteString] => [fromText(name), fromText(value)]),
    trust,
  );
}

test("everybody may set limits of time, and turn off building elsewhere", () => {
  const { settings, notes } = apply(
    "untrusted",
    ["build-timeout", "5"],
    ["max-silent-time", "6"],
    ["connect-timeout", "7"],
    ["build-poll-interval", "8"],
    ["repeat", "1"],
    ["builders", ""],
  );
  assert.deepEqual(
    (["timeout", "max-silent-time", "connect-timeout", "build-poll-interval", "repeat", "builders"] as const).map(
      (name) => settings.get(name),
    ),
    [5, 6, 7, 8, 1, ""],
  );
  assert.deepEqual(notes, []);
});

test("what is restricted is kept aside for 1.7's helpers", () => {
  const { settings, notes } = apply(
    "untrusted",
    ["sandbox", "false"],
    ["builders", "ssh://x"],
    ["debug-subst", "1"],
    ["foo", "1"],
  );
  assert.equal(settings.get("sandbox"), true);
  assert.equal(settings.get("builders"), "@/etc/nix/machines");
  assert.deepEqual(
    notes.map(({ level }) => level),
    ["debug", "debug", "debug", "debug"],
  );
  assert.equal(
    notes[0]!.message,
    `ignoring the client's setting "sandbox": it is restricted and the user is not trusted`,
  );
  assert.match(packSettings(settings), /^untrusted-debug-subst=1\nuntrusted-foo=1\nuntrusted-sandbox=false$/m);
});

test("untrusted clients choose among the daemon's substituters", () => {
  const { settings, notes } = apply("untrusted", ["binary-caches", "https://c https://evil https://b https://b/"]);
  assert.deepEqual(settings.get("substituters"), ["https://c/", "https://b"]);
  assert.deepEqual(notes, [
    {
      level: "warning",
      message: `ignoring untrusted substituter "https://evil": it is in neither substituters nor trusted-substituters`,
    },
    {
      level: "warning",
      message: `ignoring untrusted substituter "https://b/": it is in neither substituters nor trusted-substituters`,
    },
  ]);
  assert.deepEqual(apply("untrusted", ["extra-substituters", "https://c/ x"]).settings.get("substituters"), [
    "https://a/",
    "https://b",
    "https://c/",
  ]);
  // naming one does not make it trusted for what follows
  const twice = apply("untrusted", ["trusted-substituters", "https://evil"], ["substituters", "https://evil"]);
  assert.deepEqual(twice.settings.get("substituters"), []);
});

test("trusted clients set everything but features and plugins", () => {
  const { settings, notes } = apply(
    "trusted",
    ["sandbox", "relaxed"],
    ["substituters", "https://evil"],
    ["experimental-features", "flakes"],
    ["plugin-files", "/evil.so"],
    ["plugin-files", ""],
    ["ssh-auth-sock", "/run/x"],
    ["cores", "x"],
    ["keep-outputs", "1"],
  );
  assert.equal(settings.get("sandbox"), "relaxed");
  assert.deepEqual(settings.get("substituters"), ["https://evil"]);
  assert.deepEqual(settings.get("experimental-features"), []);
  assert.deepEqual(settings.get("plugin-files"), []);
  assert.equal(settings.get("keep-outputs"), true);
  assert.deepEqual(
    notes.map(({ level, message }) => `${level}: ${message}`),
    [
      `debug: ignoring the client's setting "experimental-features": no client may set it`,
      `debug: ignoring the client's setting "plugin-files": no client may set it`,
      `debug: ignoring the client's setting "ssh-auth-sock": no client may set it`,
      `warning: Cannot set "cores" to "x" for the client: expected an integer from 0 to 4294967295`,
    ],
  );
});

test("a client sends what the user set, by canonical text", () => {
  const client = withSettings(
    daemon,
    assignmentsOf([
      ["build-timeout", "010"],
      ["cores", "3"],
      ["store", "daemon"],
      ["experimental-features", "flakes"],
      ["pure-eval", "true"],
      ["extra-substituters", "x"],
    ]),
  );
  assert.deepEqual(settingsForDaemon(client), [
    ["substituters", "https://a/ https://b x"],
    ["timeout", "10"],
  ]);
});
