import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hashBytes, printBareHash } from "../../src/formats/hash.ts";
import { BadRsaKey, rsaSigner, rsaVerifier } from "../../src/formats/rsa-signature.ts";

const pem = { type: "pkcs8", format: "pem" } as const;
function rsaKey(modulusLength: number): { publicKey: string; privateKey: string } {
  const publicKeyEncoding = { type: "spki", format: "pem" } as const;
  return generateKeyPairSync("rsa", {
    modulusLength,
    publicKeyEncoding,
    privateKeyEncoding: { ...pem, type: "pkcs1" },
  });
}

const key = rsaKey(2048);
const hash = hashBytes("sha256", "hello");

test("a signature holds for its hash and key", () => {
  const signature = rsaSigner(key.privateKey)(hash);
  assert.equal(signature.length, 256);
  assert.equal(rsaVerifier(key.publicKey)(hash, signature), true);
  assert.equal(rsaVerifier(key.publicKey)(hashBytes("sha256", "hullo"), signature), false);
  assert.equal(rsaVerifier(rsaKey(2048).publicKey)(hash, signature), false);
  for (const at of [0, 100, 255]) {
    const changed = Uint8Array.from(signature);
    changed[at]! ^= 1;
    assert.equal(rsaVerifier(key.publicKey)(hash, changed), false);
  }
  assert.equal(rsaVerifier(key.publicKey)(hash, signature.subarray(1)), false);
  assert.equal(rsaVerifier(key.publicKey)(hash, new Uint8Array(0)), false);
  assert.equal(rsaVerifier(key.publicKey)(hash, new Uint8Array(1000)), false);
});

test("bytes are those of openssl", () => {
  const dir = mkdtempSync(join(tmpdir(), "rsa-signature-"));
  try {
    const file = (name: string, contents: string | Uint8Array = "") => {
      const path = join(dir, name);
      if (contents.length > 0) writeFileSync(path, contents);
      return path;
    };
    const openssl = (...args: string[]) => {
      const { status, stderr } = spawnSync("openssl", args);
      assert.equal(status, 0, String(stderr));
    };
    const secret = file("key.sec", key.privateKey);
    const text = file("hash", printBareHash(hash, "base16"));
    const theirs = file("theirs");
    openssl("rsautl", "-sign", "-inkey", secret, "-in", text, "-out", theirs);
    const signature = rsaSigner(key.privateKey)(hash);
    assert.equal(Buffer.from(signature).toString("hex"), readFileSync(theirs).toString("hex"));

    const recovered = file("recovered");
    const ours = file("ours", signature);
    openssl("rsautl", "-verify", "-pubin", "-inkey", file("key.pub", key.publicKey), "-in", ours, "-out", recovered);
    assert.equal(readFileSync(recovered, "latin1"), printBareHash(hash, "base16"));
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("keys that are none are refused before anything is signed", () => {
  const ed25519 = generateKeyPairSync("ed25519");
  assert.throws(() => rsaSigner("junk"), BadRsaKey);
  assert.throws(() => rsaVerifier(""), BadRsaKey);
  assert.throws(() => rsaSigner(ed25519.privateKey.export(pem) as string), {
    message: "Cannot use secret RSA key: it is of type ed25519",
  });
  assert.throws(() => rsaSigner(rsaKey(512).privateKey), {
    message: "Cannot use secret RSA key: it is too short for the hash",
  });
});
