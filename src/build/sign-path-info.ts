/** Signing what was built here, with the keys in the setting `secret-key-files`. */
import { parseSecretKey, printFingerprint, type SecretKey, signText } from "../formats/signature.ts";
import type { LocalStore } from "../store/local-store.ts";
import type { PathInfo } from "../store/path-info.ts";
import { readSmallFile } from "../sys/descriptor.ts";

const maxKeySize = 64 * 1024;
const keysByStore = new WeakMap<LocalStore, readonly SecretKey[]>();

/** The info with a signature by every key. @throws BadKey, SystemError when a key file cannot be read */
export function signPathInfo(store: LocalStore, info: PathInfo): PathInfo {
  const keys = secretKeys(store);
  if (keys.length === 0 || info.narSize === undefined) return info;
  const fingerprint = printFingerprint(store.storeDir, { ...info, narSize: info.narSize });
  const signatures = new Set([...info.signatures, ...keys.map((key) => signText(fingerprint, key))]);
  return { ...info, signatures: [...signatures].sort() };
}

function secretKeys(store: LocalStore): readonly SecretKey[] {
  let keys = keysByStore.get(store);
  if (keys === undefined) {
    const files = store.settings.get("secret-key-files");
    keys = files.map((file) => parseSecretKey(readSmallFile(file, maxKeySize).toString("latin1")));
    keysByStore.set(store, keys);
  }
  return keys;
}
