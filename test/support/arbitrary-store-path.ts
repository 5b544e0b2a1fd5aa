/** Generators of store paths and hashes, leaning on the shapes that break parsers. */
import fc from "fast-check";
import { encodeBase32 } from "../../src/formats/base32.ts";
import { type ByteString, decodeBytes } from "../../src/formats/byte-string.ts";
import { type Hash, type HashAlgo, hashSize } from "../../src/formats/hash.ts";
import { nameFault, parseStoreDir, parseStorePath, type StorePath } from "../../src/formats/store-path.ts";

export const nixStore = parseStoreDir("/nix/store");

const nameCharacters = [..."0123456789abcxyzABCXYZ+-._?="];

export const arbitraryName: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom("a", "hello-2.10", ".x", "...", "x".repeat(190), "-", "_=?+"),
  fc
    .string({ unit: fc.constantFrom(...nameCharacters), minLength: 1, maxLength: 24 })
    .filter((name) => nameFault(name) === undefined),
);

export const arbitraryStorePath: fc.Arbitrary<StorePath> = arbitraryPathOf(arbitraryName);
export const arbitraryDrvPath: fc.Arbitrary<StorePath> = arbitraryPathOf(arbitraryName.map((name) => `${name}.drv`));

export function arbitraryPathOf(names: fc.Arbitrary<string>): fc.Arbitrary<StorePath> {
  return fc.tuple(arbitraryBytes(20), names).map(([hash, name]) => parseStorePath(`${encodeBase32(hash)}-${name}`));
}

export const arbitraryHashAlgo: fc.Arbitrary<HashAlgo> = fc.constantFrom("md5", "sha1", "sha256", "sha512");

export const arbitraryHash: fc.Arbitrary<Hash> = arbitraryHashAlgo.chain((algo) => arbitraryHashOf(algo));

export function arbitraryHashOf(algo: HashAlgo): fc.Arbitrary<Hash> {
  return arbitraryBytes(hashSize[algo]).map((bytes) => ({ algo, bytes }));
}

/** Any bytes but mostly the ones that need escapes, are not UTF-8, or end a string. */
export const arbitraryByteString: fc.Arbitrary<ByteString> = fc
  .array(
    fc.oneof(
      fc.constantFrom(...'"\\\n\r\t\b\f\x00\x1f\x7f,()[]{}$/ nrt=é\xff\xc3', "\\n", '\\"', '",', "é\xe2\x82\xac"),
      fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)),
      fc.constantFrom("out", "text"),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join("") as ByteString);

/** Text that is UTF-8, as bytes, with what JSON and ATerms escape. */
export const arbitraryUtf8: fc.Arbitrary<ByteString> = fc
  .string({ unit: "grapheme", maxLength: 12 })
  .map((text) => decodeBytes(Buffer.from(text, "utf8")));

/** Changes a few bytes of a text: the input of "must not crash" properties. */
export function arbitraryDamage(text: fc.Arbitrary<string>): fc.Arbitrary<ByteString> {
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    remove: fc.integer({ min: 0, max: 3 }),
    insert: fc.oneof(arbitraryByteString, fc.constantFrom('"', ",", "]", "[", "(", ")", "\\", "\n", "")),
  });
  return fc.tuple(text, fc.array(edit, { minLength: 1, maxLength: 3 })).map(([original, edits]) => {
    let damaged = original;
    for (const { at, remove, insert } of edits) {
      const index = Math.floor(at * damaged.length);
      damaged = damaged.slice(0, index) + insert + damaged.slice(index + remove);
    }
    return damaged as ByteString;
  });
}

function arbitraryBytes(size: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: size, maxLength: size });
}
