/** The path of a fixed output: unlike other outputs' it follows from the hash alone, and not from the derivation. */
import type { Hash } from "../hash.ts";
import { makeFixedOutputPath, makeTextPath, outputPathName } from "../make-store-path.ts";
import type { StoreDir, StorePath } from "../store-path.ts";
import type { OutputMethod } from "./derivation.ts";

/** `name` is that of the derivation, `output` as a rule `out`. @throws BadStorePath */
export function fixedOutputPath(
  dir: StoreDir,
  name: string,
  output: string,
  method: OutputMethod,
  hash: Hash,
): StorePath {
  const pathName = outputPathName(name, output);
  return method === "text" ? makeTextPath(dir, pathName, hash, []) : makeFixedOutputPath(dir, pathName, method, hash);
}
