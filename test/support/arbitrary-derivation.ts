/** Generators of derivations of every kind. Their paths need not follow from them. */
import fc from "fast-check";
import type { ByteString } from "../../src/formats/byte-string.ts";
import { allOutputs, type WantedOutputs } from "../../src/formats/derivation-outputs.ts";
import type { Derivation, DerivationOutput, OutputMethod } from "../../src/formats/derivation/derivation.ts";
import {
  arbitraryByteString,
  arbitraryDrvPath,
  arbitraryHash,
  arbitraryHashAlgo,
  arbitraryName,
  arbitraryStorePath,
} from "./arbitrary-store-path.ts";

export const arbitraryOutputId: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom("out", "dev", "lib", "doc", "a-b", "_", "?="),
  arbitraryName.map((name) => name.slice(0, 20)),
);

const arbitraryMethod: fc.Arbitrary<OutputMethod> = fc.constantFrom("flat", "recursive", "text");

/** At least one output, all of one kind. */
export const arbitraryOutputs: fc.Arbitrary<Map<string, DerivationOutput>> = fc.oneof(
  arbitraryMap(
    arbitraryOutputId,
    arbitraryStorePath.map((path): DerivationOutput => ({ kind: "input-addressed", path })),
  ),
  fc.tuple(arbitraryStorePath, arbitraryMethod, arbitraryHash).map(([path, method, hash]) => {
    return new Map<string, DerivationOutput>([["out", { kind: "fixed", path, method, hash }]]);
  }),
  fc
    .tuple(fc.constantFrom("floating" as const, "impure" as const), arbitraryMethod, arbitraryHashAlgo)
    .chain(([kind, method, hashAlgo]) =>
      arbitraryMap(arbitraryOutputId, fc.constant<DerivationOutput>({ kind, method, hashAlgo })),
    ),
  arbitraryMap(arbitraryOutputId, fc.constant<DerivationOutput>({ kind: "deferred" })),
);

export const arbitraryDerivation: fc.Arbitrary<Derivation> = arbitraryDerivationOf(arbitraryByteString);

/** With names, arguments and variables made of `strings`. */
export function arbitraryDerivationOf(strings: fc.Arbitrary<ByteString>): fc.Arbitrary<Derivation> {
  const parts = {
    name: arbitraryName,
    outputs: arbitraryOutputs,
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
  return fc.record(parts, { noNullPrototype: true });
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
