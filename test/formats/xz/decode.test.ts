/** What xz 5.4 writes with whichever options comes back, in whatever pieces it is fed; damage is found. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { BadXz, maxDictionarySize, xzDecoder } from "../../../src/formats/xz/decode.ts";

const directory = mkdtempSync(join(tmpdir(), "silo-xz-"));
const file = join(directory, "input");
after(() => rmSync(directory, { recursive: true, force: true }));

function xz(input: Uint8Array, ...options: string[]): Uint8Array {
  // By a file: not every runtime reads what comes out while it writes what goes in.
  writeFileSync(file, input);
  const { stdout, status, stderr } = spawnSync("xz", ["-c", ...options, file], { maxBuffer: 1 << 28 });
  assert.equal(status, 0, stderr.toString());
  return new Uint8Array(stdout);
}

function decode(compressed: Uint8Array, chunkSize = compressed.length): Buffer {
  const chunks: Uint8Array[] = [];
  const decoder = xzDecoder((chunk) => chunks.push(Uint8Array.from(chunk)));
  for (let at = 0; at < compressed.length; at += chunkSize) decoder.feed(compressed.subarray(at, at + chunkSize));
  decoder.finish();
  return Buffer.concat(chunks);
}

/** Text with near and far repeats, and bytes that cannot be compressed. */
function sample(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = 12345;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    const part = (at >> 13) % 4;
    bytes[at] =
      part === 0 ? state >>> 24 : part === 1 ? 97 + ((state >>> 28) & 7) : (bytes[at - 5000 * part] ?? at & 0xff);
  }
  return bytes;
}

const data = sample(700_000);

describe("xz", () => {
  const options: readonly (readonly string[])[] = [
    ["-0"],
    ["-6"],
    ["-9e"],
    ["-C", "none"],
    ["-C", "crc32"],
    ["-C", "sha256"],
    ["--block-size=65536"],
    ["--lzma2=dict=4KiB"],
    ["--lzma2=dict=64KiB,lc=0,lp=4,pb=0"],
    ["--lzma2=dict=1MiB,lc=4,lp=0,pb=4"],
    ["--lzma2=mode=fast,nice=2,mf=hc3"],
    ["-T2", "--block-size=100000"],
  ];
  for (const option of options) {
    test(option.join(" "), () => assert.ok(decode(xz(data, ...option)).equals(data)));
  }

  test("nothing, and one byte", () => {
    assert.equal(decode(xz(Buffer.alloc(0))).length, 0);
    assert.deepEqual(decode(xz(Buffer.from("x"))), Buffer.from("x"));
  });

  test("several streams with padding between them", () => {
    const [a, b] = [xz(data.subarray(0, 1000)), xz(data.subarray(1000, 3000), "-C", "crc32")];
    const joined = Buffer.concat([a, new Uint8Array(8), b, new Uint8Array(4)]);
    assert.ok(decode(joined).equals(data.subarray(0, 3000)));
  });

  test("any input, in any pieces", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 3000, size: "max" }),
        fc.nat(40),
        fc.integer({ min: 1, max: 100 }),
        (bytes, repeats, chunkSize) => {
          const input = Buffer.concat(Array.from({ length: repeats }, () => bytes));
          assert.ok(decode(xz(input, "-1"), chunkSize).equals(input));
        },
      ),
      { numRuns: 40 },
    );
  });

  test("matches that reach farther back than memory was first taken for", () => {
    const large = Buffer.concat([sample(3_000_000), sample(3_000_000), Buffer.alloc(2_000_000), sample(1_000_000)]);
    assert.ok(decode(xz(large, "-6")).equals(large));
    assert.ok(decode(xz(large, "--lzma2=dict=64KiB")).equals(large));
  });
});

describe("damage", () => {
  const small = xz(Buffer.from("some text, some text, some more text. ".repeat(40)));

  test("every byte counts", () => {
    for (let at = 0; at < small.length; at++) {
      for (const flip of [1, 0x80]) {
        const damaged = Uint8Array.from(small);
        damaged[at]! ^= flip;
        assert.throws(() => decode(damaged), BadXz, `byte ${at}`);
      }
    }
  });

  test("every cut is noticed", () => {
    for (let length = 0; length < small.length; length++) {
      assert.throws(
        () => decode(small.subarray(0, length)),
        /Cannot decompress xz, before byte \d+: the input ends unexpectedly$/,
      );
    }
  });

  test("the dictionary may not take all memory", () => {
    const huge = xz(Buffer.from("x"), `--lzma2=dict=${3 * 2 ** 29}`);
    assert.throws(() => decode(huge), new RegExp(`at most ${maxDictionarySize} are allowed$`));
  });

  test("filters are refused", () => {
    assert.throws(() => decode(xz(data, "--x86", "--lzma2")), /filters other than LZMA2 are not supported$/);
  });
});
