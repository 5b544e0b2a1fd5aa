/**
 * Names for unfinished objects in the store directory. They look like store paths and are temporary roots, so that every
 * collector, Nix's of any age too, keeps them while this process lives and deletes them when it has died.
 */
import { randomBytes } from "../node-crypto.ts";
import { encodeBase32 } from "../formats/base32.ts";
import { parseStorePath, type StorePath } from "../formats/store-path.ts";
import { type LocalStore, showPath } from "./local-store.ts";

/** A fresh name, rooted before anything is made there. @param purpose part of the name, for whoever finds it */
export function scratchPath(store: LocalStore, purpose: string): StorePath {
  const path = parseStorePath(`${encodeBase32(randomBytes(20))}-silo-${purpose}`);
  store.tempRoots.add([showPath(store, path)]);
  return path;
}
