import assert from "node:assert/strict";
import { test } from "node:test";
import { decideAccess, type PeerIdentity } from "../../src/daemon/server/access.ts";
import { settingsOf } from "../support/settings-facts.ts";

const members: Readonly<Record<string, readonly string[]>> = { wheel: ["ada"], builders: [] };
const membersOf = (group: string) => members[group] ?? [];
const ada: PeerIdentity = { uid: 1000, user: "ada", group: "users" };
const bob: PeerIdentity = { uid: 1001, user: "bob", group: "users" };
const root: PeerIdentity = { uid: 0, user: "root", group: "root" };

function decide(settings: readonly (readonly [string, string])[], peer: PeerIdentity): string {
  const access = decideAccess(settingsOf(settings), peer, membersOf);
  return access.kind === "allowed" ? access.trust : access.kind;
}

test("by default everybody may connect and root is trusted", () => {
  assert.deepEqual([decide([], root), decide([], ada), decide([], bob)], ["trusted", "untrusted", "untrusted"]);
});

test("users and groups are named, groups by members and by the primary group", () => {
  const settings = [
    ["trusted-users", "root @wheel"],
    ["allowed-users", "bob"],
  ] as const;
  assert.deepEqual([decide(settings, ada), decide(settings, bob)], ["trusted", "untrusted"]);
  const others = [["allowed-users", "@users"]] as const;
  assert.equal(decide(others, bob), "untrusted");
  assert.equal(decide(others, { uid: 5, user: "eve", group: "eve" }), "refused");
  assert.equal(decide([["allowed-users", ""]], bob), "refused");
  assert.equal(decide([["allowed-users", ""]], root), "trusted");
});

test("an asterisk among trusted users trusts everybody", () => {
  assert.equal(decide([["trusted-users", "*"]], bob), "trusted");
});

test("whoever builds run as may not connect, trusted or not", () => {
  const settings = [
    ["build-users-group", "builders"],
    ["trusted-users", "nixbld1"],
  ] as const;
  assert.equal(decide(settings, { uid: 30001, user: "nixbld1", group: "builders" }), "refused");
  assert.equal(decide([["build-users-group", ""]], { uid: 1, user: "x", group: "" }), "untrusted");
});
