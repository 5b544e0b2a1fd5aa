/** Generators of derivations of every kind. Their paths need not follow from them. */
import fc from "fast-check";
import type { ByteString } from "../../src/formats/byte-string.ts";
import { fixedOutput } from "../../src/formats/derivation/output-fields.ts";
import type { HashAlgo } from "../../src/formats/hash.ts";
import { allOutputs, type WantedOutputs } from "../../src/formats/derivation-outputs.ts";
import type { Derivation, DerivationOutput, OutputMethod } from "../../src/formats/derivation/derivation.ts";
import {
  arbitraryByteString,
  arbitraryDrvPath,
  arbitraryHashAlgo,
  arbitraryHashOf,
  arbitraryName,
  arbitraryStorePath,
  nixStore,
} from "./arbitrary-store-path.ts";

export const arbitraryOutputId: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom("out", "dev", "lib", "doc", "a-b", "_", "?="),
  arbitraryName.map((name) => name.slice(0, 20)),
);

const arbitraryMethodAlgo: fc.Arbitrary<readonly [OutputMethod, HashAlgo]> = fc.oneof(
  fc.tuple(fc.constantFrom("flat", "recursive"), arbitraryHashAlgo),
  fc.constant(["text", "sha256"] as const),
);

/** Outputs of a derivation of this name: at least one, all of one kind. */
export function arbitraryOutputsOf(name: string): fc.Arbitrary<Map<string, DerivationOutput>> {
  const inputAddressed = arbitraryStorePath.map((path): DerivationOutput => ({ kind: "input-addressed", path }));
  const fixed = arbitraryMethodAlgo.chain(([method, algo]) =>
    arbitraryHashOf(algo).map((hash) => fixedOutput(nixStore, name, "out", method, hash)),
  );
  const unknown = fc
    .tuple(fc.constantFrom("floating", "impure"), arbitraryMethodAlgo)
    .map(([kind, [method, hashAlgo]]): DerivationOutput => ({ kind, method, hashAlgo }));
  return fc.oneof(
    arbitraryMap(arbitraryOutputId, inputAddressed),
    fixed.map((output) => new Map([["out", output]])),
    unknown.chain((output) => arbitraryMap(arbitraryOutputId, fc.constant(output))),
    arbitraryMap(arbitraryOutputId, fc.constant<DerivationOutput>({ kind: "deferred" })),
  );
}

export const arbitraryDerivation: fc.Arbitrary<Derivation> = arbitraryDerivationOf(arbitraryByteString);

/** With names, arguments and variables made of `strings`. */
export function arbitraryDerivationOf(strings: fc.Arbitrary<ByteString>): fc.Arbitrary<Derivation> {
  const parts = {
    inputDrvs: arbitraryMap(
      arbitraryDrvPath,
      fc.uniqueArray(arbitraryOutputId, { minLength: 1, maxLength: 3 }).map(set),
      0,
    ),
    inputSrcs: fc.uniqueArray(arbitraryStorePath, { maxLength: 4 }).map(set),
    system: fc.constantFrom("x86_64-linux", "builtin", "\xc3\xa9").map((text) => text as ByteString),
    builder: strings,
    args: fc.array(strings, { maxLength: 4 }),
    env: arbitraryMap(
      strings.filter((key) => key !== "__json"),
      strings,
      0,
    ),
  };
  return arbitraryName.chain((name) =>
    fc.record({ name: fc.constant(name), outputs: arbitraryOutputsOf(name), ...parts }, { noNullPrototype: true }),
  );
}

export const arbitraryWantedOutputs: fc.Arbitrary<WantedOutputs> = fc.oneof(
  fc.constant(allOutputs),
  fc
    .uniqueArray(arbitraryOutputId, { minLength: 1, maxLength: 4 })
    .map((names): WantedOutputs => ({ kind: "names", names: set(names) })),
);

function arbitraryMap<K extends string, V>(
  keys: fc.Arbitrary<K>,
  values: fc.Arbitrary<V>,
  minLength = 1,
): fc.Arbitrary<Map<K, V>> {
  return fc
    .uniqueArray(fc.tuple(keys, values), { minLength, maxLength: 4, selector: ([key]) => key })
    .map((entries) => new Map(entries));
}

function set<T>(elements: readonly T[]): ReadonlySet<T> {
  return new Set(elements);
}
