/** Replacing strings by others in what a builder is given: placeholders of outputs, and hash parts of outputs built elsewhere. */
import type { ByteString } from "../formats/byte-string.ts";

export type Rewrites = ReadonlyMap<string, string>;

/** Replaces every occurrence of each key by its value, one key after the other. */
export function rewriteString(text: ByteString, rewrites: Rewrites): ByteString {
  let result: string = text;
  for (const [from, to] of rewrites) if (result.includes(from)) result = result.replaceAll(from, () => to);
  return result as ByteString;
}
