import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ByteString, fromText } from "../../src/formats/byte-string.ts";
import { BadMachine, bestMachine, isEligible, type Machine, parseMachines } from "../../src/formats/machines.ts";

const parse = (text: string, files: Record<string, string> = {}) =>
  parseMachines(fromText(text), "x86_64-linux", (path) => files[path] as ByteString | undefined);

const plain: Machine = {
  uri: "ssh://mac",
  systems: ["x86_64-linux"],
  sshKey: undefined,
  maxJobs: 1,
  speedFactor: 1,
  supportedFeatures: [],
  mandatoryFeatures: [],
  hostKey: undefined,
};

test("columns and their defaults", () => {
  assert.deepEqual(parse("mac"), [plain]);
  assert.deepEqual(parse("ssh://builder@mac x86_64-darwin,aarch64-darwin /root/.ssh/id 4 2 big-parallel,kvm - -"), [
    {
      ...plain,
      uri: "ssh://builder@mac",
      systems: ["x86_64-darwin", "aarch64-darwin"],
      sshKey: "/root/.ssh/id",
      maxJobs: 4,
      speedFactor: 2,
      supportedFeatures: ["big-parallel", "kvm"],
    },
  ]);
  assert.deepEqual(parse("ssh-ng://a?remote-program=x - - 0 0.5 - m"), [
    { ...plain, uri: "ssh-ng://a?remote-program=x", maxJobs: 0, speedFactor: 0.5, mandatoryFeatures: ["m"] },
  ]);
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE root@host";
  assert.equal(parse(`mac - - - - - - ${Buffer.from(`${key}\n`).toString("base64")}`)[0]!.hostKey, key);
});

test("lines, semicolons, comments and files", () => {
  const files = { "/etc/nix/machines": "# all\nb\n\n@/more", "/more": "c # this\n" };
  const uris = parse(" a ;@/etc/nix/machines; @/missing\nd", files).map(({ uri }) => uri);
  assert.deepEqual(uris, ["ssh://a", "ssh://b", "ssh://c", "ssh://d"]);
  assert.deepEqual(parse(""), []);
});

test("what cannot be", () => {
  for (const line of [
    "a - - many",
    "a - - - fast",
    "a - - -1",
    "a - - 1 1e9",
    "a - - - - - - !!",
    "a - - - - - - aGk=",
    "- x",
  ]) {
    assert.throws(() => parse(line), BadMachine, line);
  }
  assert.throws(() => parse("@/loop", { "/loop": "@/loop" }), /files include each other/);
});

test("damaged lists are errors of ours", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."ab-,@/;#\n \t0159.=:"), maxLength: 60 }), (text) => {
      try {
        parse(text);
      } catch (error) {
        assert.ok(error instanceof BadMachine, String(error));
      }
    }),
  );
});

test("who may build what", () => {
  const machine = { ...plain, supportedFeatures: ["kvm"], mandatoryFeatures: ["gpu"] };
  const can = (system: string, ...features: string[]) => isEligible(machine, { system, features });
  assert.equal(can("x86_64-linux", "gpu"), true);
  assert.equal(can("builtin", "gpu", "kvm"), true);
  assert.equal(can("x86_64-linux"), false); // not what the machine insists on
  assert.equal(can("x86_64-linux", "gpu", "other"), false);
  assert.equal(can("aarch64-linux", "gpu"), false);
});

test("the best of several: least load for its speed, then speed, then load, then order", () => {
  const machine = (uri: string, speedFactor: number) => ({ ...plain, uri, speedFactor });
  const best = (...loads: [string, number, number][]) =>
    bestMachine(loads.map(([uri, speed, load]) => ({ machine: machine(uri, speed), load })))?.machine.uri;
  assert.equal(best(), undefined);
  assert.equal(best(["a", 1, 1], ["b", 1, 0]), "b");
  assert.equal(best(["a", 1, 1], ["b", 4, 3]), "b"); // not by whole numbers: 3/4 is less than 1
  assert.equal(best(["a", 1, 0], ["b", 2, 0]), "b");
  assert.equal(best(["a", 1, 1], ["b", 1, 1]), "a");
});
