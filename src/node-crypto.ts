/**
 * node:crypto, loaded by its first use: that takes 3 ms, a quarter of what a query takes that hashes nothing.
 */
import type * as crypto from "node:crypto";

/** The whole module, for more than hashing. */
export function nodeCrypto(): typeof crypto {
  return process.getBuiltinModule("node:crypto");
}

let create: typeof crypto.createHash | undefined;

/** As in node:crypto. */
export function createHash(algorithm: string): crypto.Hash {
  create ??= nodeCrypto().createHash;
  return create(algorithm);
}

/** As in node:crypto. */
export function randomBytes(size: number): Buffer {
  return nodeCrypto().randomBytes(size);
}
