/** Who owns the files of the store: the user that runs us, and its group. */
import { listExtendedAttributes } from "../sys/metadata.ts";
import { lstat } from "../sys/stat.ts";
import type { LocalStore } from "./local-store.ts";
import type { CanonicalOwner } from "./tree/canonical-metadata.ts";

export function storeOwner(): CanonicalOwner {
  return { uid: process.geteuid!(), gid: process.getegid!() };
}

const setGroupId = 0o2000;
const inherited = new WeakMap<LocalStore, boolean>();

/** Do new files in the store directory get ACLs or a group from it? Then these have to be removed again. Asked once. */
export function inheritsAttributes(store: LocalStore): boolean {
  let answer = inherited.get(store);
  if (answer === undefined) {
    answer =
      listExtendedAttributes(store.realStoreDir).includes("system.posix_acl_default") ||
      (lstat(store.realStoreDir).mode & setGroupId) !== 0;
    inherited.set(store, answer);
  }
  return answer;
}
