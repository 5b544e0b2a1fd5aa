import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hashBytes, printBareHash } from "../../src/formats/hash.ts";
import { BadRsaKey, signHash, verifyHash } from "../../src/formats/rsa-signature.ts";

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
  const signature = signHash(hash, key.privateKey);
  assert.equal(signature.length, 256);
  assert.equal(verifyHash(hash, signature, key.publicKey), true);
  assert.equal(verifyHash(hashBytes("sha256", "hullo"), signature, key.publicKey), false);
  assert.equal(verifyHash(hash, signature, rsaKey(2048).publicKey), false);
  for (const at of [0, 100, 255]) {
    const changed = Uint8Array.from(signature);
    changed[at]! ^= 1;
    assert.equal(verifyHash(hash, changed, key.publicKey), false);
  }
  assert.equal(verifyHash(hash, signature.subarray(1), key.publicKey), false);
  assert.equal(verifyHash(hash, new Uint8Array(0), key.publicKey), false);
  assert.equal(verifyHash(hash, new Uint8Array(1000), key.publicKey), false);
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
    const signature = signHash(hash, key.privateKey);
    assert.equal(Buffer.from(signature).toString("hex"), readFileSync(theirs).toString("hex"));

    const recovered = file("recovered");
    const ours = file("ours", signature);
    openssl("rsautl", "-verify", "-pubin", "-inkey", file("key.pub", key.publicKey), "-in", ours, "-out", recovered);
    assert.equal(readFileSync(recovered, "latin1"), printBareHash(hash, "base16"));
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("keys that are none", () => {
  const ed25519 = generateKeyPairSync("ed25519");
  assert.throws(() => signHash(hash, "junk"), BadRsaKey);
  assert.throws(() => verifyHash(hash, new Uint8Array(256), ""), BadRsaKey);
  assert.throws(() => signHash(hash, ed25519.privateKey.export(pem) as string), {
    message: "Cannot use secret RSA key: it is of type ed25519",
  });
  assert.throws(() => signHash(hash, rsaKey(512).privateKey), {
    message: "Cannot use secret RSA key: it is too short for the hash",
  });
});
