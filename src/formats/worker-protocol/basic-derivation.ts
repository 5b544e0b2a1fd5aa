/**
 * A derivation with its path, as BuildDerivation sends it:
 *
 *     path, n * {string output, path or "", string hash algorithm, string hash}, set input sources, string system, string builder,
 *     list arguments, n * {string name, string value}
 *
 * The three fields of an output are those of the file (derivation/output-fields.ts). Inputs that are derivations have become sources.
 */
import type { ByteString } from "../byte-string.ts";
import type { BasicDerivation, DerivationOutput } from "../derivation/derivation.ts";
import { type OutputFields, parseOutputFields, printOutputFields } from "../derivation/output-fields.ts";
import { derivationName } from "../make-store-path.ts";
import type { StorePath } from "../store-path.ts";
import { list, map, record, storePath, storePaths, string, type WireType } from "./wire-type.ts";

export interface NamedDerivation {
  readonly drvPath: StorePath;
  readonly derivation: BasicDerivation;
}

const body = record<{
  outputs: ReadonlyMap<string, OutputFields>;
  inputSrcs: readonly StorePath[];
  system: ByteString;
  builder: ByteString;
  args: readonly ByteString[];
  env: ReadonlyMap<ByteString, ByteString>;
}>({
  outputs: map(
    string as WireType<string>,
    record<OutputFields>({
      path: string as WireType<string>,
      hashAlgo: string as WireType<string>,
      hash: string as WireType<string>,
    }),
  ),
  inputSrcs: storePaths,
  system: string,
  builder: string,
  args: list(string),
  env: map(string, string),
});

export const namedDerivation: WireType<NamedDerivation> = {
  *read(context, what) {
    const drvPath = yield* storePath.read(context, what);
    const { outputs: fields, inputSrcs, ...rest } = yield* body.read(context, what);
    const name = derivationName(drvPath);
    const outputs = new Map<string, DerivationOutput>();
    for (const [id, each] of fields) outputs.set(id, parseOutputFields(context.storeDir, name, id, each));
    return { drvPath, derivation: { name, outputs, inputSrcs: new Set(inputSrcs), ...rest } };
  },
  write(writer, { drvPath, derivation }, context) {
    storePath.write(writer, drvPath, context);
    const outputs = new Map<string, OutputFields>();
    for (const [id, output] of derivation.outputs) outputs.set(id, printOutputFields(context.storeDir, output));
    body.write(writer, { ...derivation, outputs, inputSrcs: [...derivation.inputSrcs] }, context);
  },
};
