/** Reading derivations from the store. */
import { parseDerivation } from "../formats/derivation/parse-derivation.ts";
import { BadDerivation, type Derivation } from "../formats/derivation/derivation.ts";
import { derivationName } from "../formats/make-store-path.ts";
import { printStorePath, type StoreDir, type StorePath } from "../formats/store-path.ts";
import { readSmallFile } from "../sys/descriptor.ts";

/** No derivation comes near; the reader takes memory for no more. Bytes. */
export const maxDerivationSize = 256 * 1024 * 1024;

/** @throws BadDerivation, which names the file; SystemError when the file is not there */
export function readDerivation(storeDir: StoreDir, realStoreDir: string, drvPath: StorePath): Derivation {
  const text = readSmallFile(`${realStoreDir}/${drvPath}`, maxDerivationSize);
  try {
    return parseDerivation(storeDir, text, derivationName(drvPath));
  } catch (error) {
    if (!(error instanceof BadDerivation)) throw error;
    throw new BadDerivation(printStorePath(storeDir, drvPath), error.position, error.reason, { cause: error });
  }
}
