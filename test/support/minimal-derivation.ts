/** Derivations in a store, for tests that need some but build none. */
import type { ByteString } from "../../src/formats/byte-string.ts";
import { type Derivation, knownOutputPath } from "../../src/formats/derivation/derivation.ts";
import { fillOutputs } from "../../src/formats/derivation/output-paths.ts";
import { printDerivation } from "../../src/formats/derivation/print-derivation.ts";
import type { StorePath } from "../../src/formats/store-path.ts";
import { addText } from "../../src/store/add.ts";
import type { LocalStore } from "../../src/store/local-store.ts";

export interface AddedDerivation {
  readonly drvPath: StorePath;
  /** By output name; none of them is valid. */
  readonly outputs: Map<string, StorePath>;
}

/** Adds a derivation of this name, which refers to `sources`. */
export function minimalDerivation(
  store: LocalStore,
  name: string,
  sources: readonly StorePath[],
  outputNames: readonly string[] = ["out"],
): AddedDerivation {
  const bare: Derivation = {
    name,
    outputs: new Map(outputNames.map((id) => [id, { kind: "deferred" as const }])),
    inputDrvs: new Map(),
    inputSrcs: new Set(sources),
    system: "x86_64-linux" as ByteString,
    builder: "/bin/sh" as ByteString,
    args: [],
    env: new Map([["name" as ByteString, name as ByteString]]),
  };
  const drv = fillOutputs(store.modulo, bare);
  const text = printDerivation(store.storeDir, drv);
  const drvPath = addText(store, `${name}.drv`, Buffer.from(text, "latin1"), [...sources].sort());
  return { drvPath, outputs: new Map([...drv.outputs].map(([id, output]) => [id, knownOutputPath(output)!])) };
}
