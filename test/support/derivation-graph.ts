/** Graphs of derivations put into a store at once, for tests of the scheduler: their builders are never run for real. */
import { writeFileSync } from "node:fs";
import type { ByteString } from "../../src/formats/byte-string.ts";
import { type Derivation, knownOutputPath } from "../../src/formats/derivation/derivation.ts";
import { derivationFile } from "../../src/formats/derivation/derivation-file.ts";
import { fillOutputs } from "../../src/formats/derivation/output-paths.ts";
import { visitFile } from "../../src/store/add.ts";
import type { StorePath } from "../../src/formats/store-path.ts";
import type { LocalStore } from "../../src/store/local-store.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { registerValidPaths } from "../../src/store/register.ts";
import { narHasher } from "../../src/store/tree/nar-hash.ts";

export interface NodeSpec {
  readonly name: string;
  /** Positions of earlier nodes, with the outputs wanted of them; `out` when absent. */
  readonly inputs?: readonly (number | readonly [node: number, ...outputs: string[]])[];
  readonly outputs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly system?: string;
}

export interface AddedNode {
  readonly drvPath: StorePath;
  readonly outputs: ReadonlyMap<string, StorePath>;
}

/** Registers all in one transaction. */
export function addGraph(store: LocalStore, nodes: readonly NodeSpec[]): AddedNode[] {
  const added: AddedNode[] = [];
  const infos: PathInfo[] = [];
  for (const node of nodes) {
    const { drvPath, info, drv } = derivationOf(store, node, added);
    added.push({ drvPath, outputs: new Map([...drv.outputs].map(([id, output]) => [id, knownOutputPath(output)!])) });
    infos.push(info);
  }
  registerValidPaths(store, infos, "trusted");
  return added;
}

function derivationOf(store: LocalStore, node: NodeSpec, added: readonly AddedNode[]) {
  const inputDrvs = new Map(
    (node.inputs ?? []).map((input) => {
      const [position, ...outputs] = typeof input === "number" ? [input] : input;
      return [added[position]!.drvPath, new Set(outputs.length === 0 ? ["out"] : outputs)] as const;
    }),
  );
  const variables = { name: node.name, ...node.env };
  const bare: Derivation = {
    name: node.name,
    outputs: new Map((node.outputs ?? ["out"]).map((id) => [id, { kind: "deferred" as const }])),
    inputDrvs,
    inputSrcs: new Set(),
    system: (node.system ?? "x86_64-linux") as ByteString,
    builder: "/bin/sh" as ByteString,
    args: (node.args ?? []) as readonly ByteString[],
    env: new Map(Object.entries(variables)) as Map<ByteString, ByteString>,
  };
  const drv = fillOutputs(store.modulo, bare);
  const { path, contents, references } = derivationFile(store.storeDir, drv);
  const bytes = Buffer.from(contents, "latin1");
  writeFileSync(`${store.realStoreDir}/${path}`, bytes, { mode: 0o444 });
  const hasher = narHasher("sha256");
  visitFile(hasher.visitor, bytes);
  const { hash, size } = hasher.finish();
  const info: PathInfo = {
    path,
    narHash: hash,
    narSize: size,
    references,
    deriver: undefined,
    registrationTimeSec: 1,
    ultimate: false,
    signatures: [],
    contentAddress: undefined,
  };
  return { drvPath: path, info, drv };
}
