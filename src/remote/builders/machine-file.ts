import { readFileSync } from "node:fs";
import { type ByteString, decodeBytes, encodeBytes } from "../../formats/byte-string.ts";

/** A file of machines; undefined where there is none, or none for us. */
export function readMachineFile(path: ByteString): ByteString | undefined {
  try {
    return decodeBytes(readFileSync(encodeBytes(path)));
  } catch {
    return undefined;
  }
}
