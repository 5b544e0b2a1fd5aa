/** The `.drv` files of test/fixtures/derivation, made by Nix 2.8.0 with /nix/store as store directory (see make.sh there). */
import { readdirSync, readFileSync } from "node:fs";
import { type ByteString, decodeBytes } from "../../src/formats/byte-string.ts";
import type { Derivation } from "../../src/formats/derivation/derivation.ts";
import { parseDerivation } from "../../src/formats/derivation/parse-derivation.ts";
import { derivationName } from "../../src/formats/make-store-path.ts";
import { nameOf, parseStorePath, type StorePath } from "../../src/formats/store-path.ts";
import { nixStore } from "./arbitrary-store-path.ts";

const directory = new URL("../fixtures/derivation/", import.meta.url);

export const fixtureTexts: ReadonlyMap<StorePath, ByteString> = new Map(
  readdirSync(directory)
    .filter((file) => file.endsWith(".drv"))
    .sort()
    .map((file) => [parseStorePath(file), decodeBytes(readFileSync(new URL(file, directory)))]),
);

export function fixtureText(path: StorePath): ByteString {
  const text = fixtureTexts.get(path);
  if (text === undefined) throw new Error(`no fixture ${path}`);
  return text;
}

/** What `nix show-derivation` of Nix 2.8.0 prints for all of them. */
export function fixtureJson(): ByteString {
  return decodeBytes(readFileSync(new URL("show-derivation.json", directory)));
}

export function readFixture(path: StorePath): Derivation {
  return parseDerivation(nixStore, fixtureText(path), derivationName(path));
}

/** The only fixture of this name, such as `a.drv`. */
export function fixtureNamed(name: string): StorePath {
  const found = [...fixtureTexts.keys()].filter((path) => nameOf(path) === name);
  if (found.length !== 1) throw new Error(`${found.length} fixtures named ${name}`);
  return found[0]!;
}
