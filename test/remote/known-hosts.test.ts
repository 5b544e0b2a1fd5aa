import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { findKnownHosts, judgeHostKey, knownHostsName, printKnownHost } from "../../src/remote/ssh/known-hosts.ts";

/** A public key in ssh's encoding: type and some bytes. */
function key(type: string, body: string): Buffer {
  const part = (text: string) => {
    const bytes = Buffer.from(text);
    const size = Buffer.alloc(4);
    size.writeUInt32BE(bytes.length);
    return Buffer.concat([size, bytes]);
  };
  return Buffer.concat([part(type), part(body)]);
}

const ours = key("ssh-ed25519", "the right one");
const other = key("ssh-ed25519", "another");
const rsa = key("ssh-rsa", "an old one");
const line = (hosts: string, shown: Buffer, type = "ssh-ed25519") => `${hosts} ${type} ${shown.toString("base64")}`;

function judge(text: string, shown: Buffer, host = "host", port = 22) {
  return judgeHostKey(
    findKnownHosts([{ path: "known_hosts", text }], knownHostsName(host, port)),
    "ssh-ed25519",
    shown,
  );
}

function hashed(name: string): string {
  const salt = Buffer.from("01234567890123456789");
  return `|1|${salt.toString("base64")}|${createHmac("sha1", salt).update(name).digest("base64")}`;
}

test("a key is known by name, pattern, port or hashed name", () => {
  const known = { kind: "known" };
  assert.deepEqual(judge(`# comment\n\n${line("a,host,b", ours)} root@host\n`, ours), known);
  assert.deepEqual(judge(line("*.org,!bad.org,h?st", ours), ours), known);
  assert.deepEqual(judge(line("[host]:2222", ours), ours, "host", 2222), known);
  assert.deepEqual(judge(line(hashed("[host]:2222"), ours), ours, "host", 2222), known);
  assert.deepEqual(judge(line(hashed("host"), ours), ours, "HOST"), known);
});

test("what is not known, is another, or is revoked", () => {
  assert.equal(judge("", ours).kind, "unknown");
  assert.equal(judge(line("hosts", ours), ours).kind, "unknown");
  assert.equal(judge(line("*,!host", ours), ours).kind, "unknown");
  assert.equal(judge(line(hashed("other"), ours), ours).kind, "unknown");
  const changed = judge(`${line("host", rsa, "ssh-rsa")}\n${line("host", other)}`, ours);
  assert.equal(changed.kind === "changed" && changed.entry.line, 2, "the entry of the same type is the one to name");
  const revoked = `${line("host", ours)}\n@revoked ${line("*", ours)}`;
  assert.equal(judge(revoked, ours).kind, "revoked");
  const authority = judge(`@cert-authority ${line("host", other)}`, ours);
  assert.equal(authority.kind === "unknown" && authority.authority?.line, 1);
});

test("what is remembered is known", () => {
  assert.deepEqual(judge(printKnownHost("[host]:77", "ssh-ed25519", ours), ours, "host", 77), { kind: "known" });
});

test("damaged files know nobody and break nothing", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."host*?!|1@revoked ,\n\t#=[]:AB"), maxLength: 80 }), (text) => {
      const verdict = judge(text, ours);
      assert.ok(verdict.kind === "unknown" || verdict.kind === "changed");
    }),
  );
});
