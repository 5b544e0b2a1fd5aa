import { UsageError } from "../../error.ts";
import { type HashAlgo, isHashAlgo } from "../../formats/hash.ts";

/** An operand that names a hash algorithm. @throws UsageError */
export function parseAlgorithm(text: string): HashAlgo {
  if (!isHashAlgo(text)) throw new UsageError(`unknown hash algorithm '${text}'`);
  return text;
}
