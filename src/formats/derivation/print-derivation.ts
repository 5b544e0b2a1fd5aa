/**
 * Prints a derivation as the text of its `.drv` file; the grammar is in parse-derivation.ts. Byte for byte what Nix writes: outputs,
 * inputs and variables ascend bytewise, nothing stands between tokens, there is no newline at the end.
 */
import { type ByteString, compareBytes } from "../byte-string.ts";
import { printStorePath, type StoreDir } from "../store-path.ts";
import type { Derivation } from "./derivation.ts";
import { printOutputFields } from "./output-fields.ts";

export function printDerivation(dir: StoreDir, drv: Derivation): ByteString {
  const inputs = [...drv.inputDrvs].map(([path, outputs]): PrintedInput => [printStorePath(dir, path), outputs]);
  return printWithInputs(dir, drv, inputs, "outputs-shown");
}

/** What stands in the place of an input's path, and the outputs wanted of it. */
export type PrintedInput = readonly [key: string, outputs: Iterable<string>];

/**
 * The text with other names for the inputs, as hash-modulo.ts hashes it. With `outputs-masked` the paths of the outputs are empty, and so
 * are the variables named after outputs.
 */
export function printWithInputs(
  dir: StoreDir,
  drv: Derivation,
  inputs: readonly PrintedInput[],
  masking: "outputs-shown" | "outputs-masked",
): ByteString {
  const masked = masking === "outputs-masked";
  const outputs = sortedByKey(drv.outputs).map(([id, output]) => {
    const { path, hashAlgo, hash } = printOutputFields(dir, output);
    return `(${quoted(id)},${quoted(masked ? "" : path)},${quoted(hashAlgo)},${quoted(hash)})`;
  });
  const inputDrvs = sortedByKey(inputs).map(([key, ids]) => `(${quoted(key)},${quotedList(sorted(ids))})`);
  const inputSrcs = sorted(drv.inputSrcs).map((path) => printStorePath(dir, path));
  const env = sortedByKey(drv.env).map(
    ([key, value]) => `(${quoted(key)},${quoted(masked && drv.outputs.has(key) ? "" : value)})`,
  );
  const fields = [
    `[${outputs.join(",")}]`,
    `[${inputDrvs.join(",")}]`,
    quotedList(inputSrcs),
    quoted(drv.system),
    quoted(drv.builder),
    quotedList(drv.args),
    `[${env.join(",")}]`,
  ];
  return `Derive(${fields.join(",")})` as ByteString;
}

function quotedList(texts: readonly string[]): string {
  return `[${texts.map(quoted).join(",")}]`;
}

/** The engine's JSON strings, which are fast, are ATerm strings unless there are control characters other than `\n`, `\r` and `\t`. */
function quoted(text: string): string {
  if (!/[\x00-\x08\x0b\x0c\x0e-\x1f]/.test(text)) return JSON.stringify(text);
  return `"${text.replace(/["\\\n\r\t]/g, (byte) => escapes[byte]!)}"`;
}

const escapes: Readonly<Record<string, string>> = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function sorted<T extends string>(texts: Iterable<T>): T[] {
  return [...texts].sort(compareBytes);
}

function sortedByKey<E extends readonly [string, unknown]>(entries: Iterable<E>): E[] {
  return [...entries].sort((a, b) => compareBytes(a[0], b[0]));
}
