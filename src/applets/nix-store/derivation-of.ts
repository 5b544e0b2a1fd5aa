/** Derivations in whichever store, for operations that look into them. */
import { SiloError } from "../../error.ts";
import { bytesReader } from "../../formats/bytes-reader.ts";
import { runSync } from "../../formats/codec.ts";
import type { Derivation } from "../../formats/derivation/derivation.ts";
import { parseDerivation } from "../../formats/derivation/parse-derivation.ts";
import { derivationName } from "../../formats/make-store-path.ts";
import { readNar } from "../../formats/nar/read-nar.ts";
import type { NarVisitor } from "../../formats/nar/visitor.ts";
import { isDerivationPath, printStorePath, type StorePath } from "../../formats/store-path.ts";
import { maxDerivationSize, readDerivation } from "../../store/read-derivation.ts";
import type { Store } from "../../store/store.ts";

export class DeriverUnknown extends SiloError {
  readonly code = "deriver-unknown";
  constructor(readonly path: string) {
    super(`deriver of path '${path}' is not known`);
  }
}

export class BadDerivationObject extends SiloError {
  readonly code = "bad-derivation-object";
}

/** @throws InvalidPath, BadDerivation */
export function derivationOf(store: Store, drvPath: StorePath): Derivation {
  store.requirePathInfo(drvPath);
  const { local } = store;
  if (local !== undefined) return readDerivation(local.storeDir, local.realStoreDir, drvPath);
  return parseDerivation(store.storeDir, readFileOf(store, drvPath), derivationName(drvPath));
}

/** The path itself when it is a derivation, else what it was built from. @throws InvalidPath, DeriverUnknown */
export function deriverOf(store: Store, path: StorePath): StorePath {
  if (isDerivationPath(path)) return path;
  const { deriver } = store.requirePathInfo(path);
  if (deriver === undefined) throw new DeriverUnknown(printStorePath(store.storeDir, path));
  return deriver;
}

/** The contents of a path that is a regular file, out of its NAR. */
function readFileOf(store: Store, path: StorePath): Uint8Array {
  const chunks: Uint8Array[] = [];
  let size = 0;
  store.dumpPath(path, (chunk) => {
    size += chunk.length;
    if (size > maxDerivationSize) throw refuse(store, path, `is larger than ${maxDerivationSize} bytes`);
    chunks.push(new Uint8Array(chunk));
  });
  const contents: Uint8Array[] = [];
  const refuseOther = () => {
    throw refuse(store, path, "is not a regular file");
  };
  const visitor: NarVisitor = {
    directory: refuseOther,
    leaveDirectory: refuseOther,
    symlink: refuseOther,
    file() {},
    contents: (chunk) => void contents.push(new Uint8Array(chunk)),
    endFile() {},
  };
  const shown = printStorePath(store.storeDir, path);
  runSync(readNar(visitor), bytesReader(Buffer.concat(chunks), `the archive of '${shown}'`));
  return Buffer.concat(contents);
}

function refuse(store: Store, path: StorePath, reason: string): BadDerivationObject {
  return new BadDerivationObject(`cannot read derivation '${printStorePath(store.storeDir, path)}': it ${reason}`);
}
