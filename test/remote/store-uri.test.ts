import assert from "node:assert/strict";
import { test } from "node:test";
import { BadStoreUri, parseStoreUri, quoteForShell, remoteCommand } from "../../src/remote/store-uri.ts";

test("hosts, users, ports and parameters", () => {
  const key = Buffer.from("ssh-ed25519 AAAA\n").toString("base64");
  const uri = `ssh://bob@host:2222?remote-program=/opt/nix-store&remote-store=/mnt%20x&compress=true&ssh-key=/k&base64-ssh-public-host-key=${key}&priority=7&unknown=1`;
  const address = parseStoreUri(uri);
  assert.deepEqual(
    { ...address },
    {
      name: "ssh://bob@host:2222",
      isHere: false,
      protocol: "serve",
      host: "host",
      port: 2222,
      user: "bob",
      sshKey: "/k",
      hostKey: "ssh-ed25519 AAAA",
      compress: true,
      program: "/opt/nix-store --serve --write",
      remoteStore: "/mnt x",
      maxConnections: undefined,
      priority: 7,
      trusted: false,
    },
  );
  assert.equal(remoteCommand(address), "/opt/nix-store --serve --write --store '/mnt x'");
  const daemon = parseStoreUri("ssh-ng://[::1]:22/");
  assert.deepEqual(
    [daemon.protocol, daemon.host, daemon.port, daemon.program],
    ["worker", "::1", 22, "nix-daemon --stdio"],
  );
  assert.equal(parseStoreUri("ssh://localhost").isHere, true);
  assert.equal(parseStoreUri("ssh://me@localhost").isHere, false);
});

test("what is no address", () => {
  for (const uri of [
    "ssh://",
    "ssh://-x",
    "http://a",
    "ssh://a b",
    "ssh://a;b",
    "ssh://a?priority=x",
    "ssh://a?base64-ssh-public-host-key=!",
  ]) {
    assert.throws(() => parseStoreUri(uri), BadStoreUri, uri);
  }
});

test("words for a shell", () => {
  assert.equal(quoteForShell("/nix/store/a-b_1.2"), "/nix/store/a-b_1.2");
  assert.equal(quoteForShell("it's $HOME"), `'it'\\''s $HOME'`);
});
