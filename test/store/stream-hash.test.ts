/** Hashing in a second thread gives what hashing here gives, one stream after the other, and two at a time. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { HashAlgo } from "../../src/formats/hash.ts";
import { streamHash } from "../../src/store/tree/stream-hash.ts";

const enough = 64 * 1024 * 1024;

function bytes(size: number, seed: number): Uint8Array {
  const made = new Uint8Array(size);
  for (let i = 0; i < size; i++) made[i] = (i * 31 + (i >> 9) + seed) & 255;
  return made;
}

function check(algo: HashAlgo, chunks: readonly Uint8Array[], expected: number | undefined): void {
  const hasher = streamHash(algo);
  const reference = createHash(algo);
  if (expected !== undefined) hasher.expect(expected);
  for (const chunk of chunks) {
    const copy = new Uint8Array(chunk);
    hasher.update(copy);
    copy.fill(0); // it was valid during the call only
    reference.update(chunk);
  }
  assert.equal(Buffer.from(hasher.digest()).toString("hex"), reference.digest("hex"));
}

test("for every algorithm, and any size of chunks", () => {
  for (const algo of ["md5", "sha1", "sha256", "sha512"] as const) {
    for (const expected of [undefined, enough]) {
      check(algo, [], expected);
      check(algo, [bytes(1, 1)], expected);
      check(algo, [bytes(262_144, 2)], expected);
      check(algo, [bytes(262_143, 3), bytes(1, 4), bytes(262_145, 5)], expected);
      check(
        algo,
        Array.from({ length: 50 }, (_, i) => bytes(i * 9973, i)),
        expected,
      );
    }
  }
});

test("for more than the ring between the threads holds", () => {
  check(
    "sha256",
    Array.from({ length: 40 }, (_, i) => bytes(1_000_003, i)),
    enough,
  );
});

test("for two at the same time", () => {
  const [one, two] = [streamHash("sha256"), streamHash("sha256")];
  for (const hasher of [one, two]) hasher.expect(enough);
  const chunk = bytes(3_000_000, 1);
  one.update(chunk);
  two.update(chunk);
  two.update(chunk);
  one.update(chunk);
  const expected = createHash("sha256").update(chunk).update(chunk).digest("hex");
  assert.equal(Buffer.from(one.digest()).toString("hex"), expected);
  assert.equal(Buffer.from(two.digest()).toString("hex"), expected);
});

test("whatever is said to come after it has begun", () => {
  const hasher = streamHash("sha256");
  hasher.update(bytes(10, 1));
  hasher.expect(enough);
  hasher.update(bytes(10, 2));
  const expected = createHash("sha256").update(bytes(10, 1)).update(bytes(10, 2)).digest("hex");
  assert.equal(Buffer.from(hasher.digest()).toString("hex"), expected);
});
