/**
 * The store of an ordinary user on a machine without one: below the user's data directory, called /nix/store all the same, so
 * that what is built there is what everybody builds. As Nix since 2.10.
 */
import { type ByteString, fromText } from "../formats/byte-string.ts";
import { canonicalPath } from "../formats/settings/canonical-path.ts";
import type { Directories, Environment } from "../store/directories.ts";
import { exists } from "../sys/names.ts";

/** The chroot store's directory; undefined where there is a store for all, or the user chose one. */
export function personalStoreRoot(env: Environment, { stateDir }: Directories): ByteString | undefined {
  if (process.geteuid?.() === 0 || env["NIX_STORE_DIR"] || env["NIX_STORE"] || env["NIX_STATE_DIR"]) return undefined;
  if (exists(stateDir)) return undefined;
  const data = env["XDG_DATA_HOME"] || (env["HOME"] && `${env["HOME"]}/.local/share`);
  return data ? canonicalPath(fromText(`${data}/nix/root`)) : undefined;
}
