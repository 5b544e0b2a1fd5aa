/** The store paths that may continue a word of a command line. */
import { SiloError } from "../../error.ts";
import { fromText } from "../../formats/byte-string.ts";
import { tryParseStorePath } from "../../formats/store-path.ts";
import { directoriesFromEnvironment } from "../../store/directories.ts";
import { readDirectory } from "../../sys/directory.ts";
import { isSystemError } from "../../sys/system-error.ts";
import type { Io } from "../io.ts";
import { personalStoreRoot } from "../personal-store.ts";
import { locateStore } from "../store-location.ts";

/** Shells show no more, and a store may have a million. */
const maxPaths = 500;

/** Lists the store paths that begin with `word`; false when it is none. */
export function completeStorePath(word: string, io: Io): boolean {
  const { storeDir, realStoreDir } = storePlace(io);
  if (!word.startsWith(`${storeDir}/`) || word.indexOf("/", storeDir.length + 1) >= 0) return false;
  const begun = word.slice(storeDir.length + 1);
  try {
    const names = readDirectory(realStoreDir).map(({ name }) => name);
    const paths = names.filter((name) => name.startsWith(begun) && tryParseStorePath(name) !== undefined).sort();
    for (const name of paths.slice(0, maxPaths)) io.out(`${storeDir}/${name}\n`);
  } catch (error) {
    if (!isSystemError(error)) throw error; // no store, or not ours to read: nothing to offer
  }
  return true;
}

/** Where the store is as far as the environment says, since reading all settings takes longer. */
function storePlace(io: Io): { readonly storeDir: string; readonly realStoreDir: string } {
  const directories = directoriesFromEnvironment(io.env);
  const { storeDir } = directories;
  const remote = fromText(io.env["NIX_REMOTE"] ?? "");
  try {
    const personal = remote === "" || remote === "auto" ? personalStoreRoot(io.env, directories) : undefined;
    const location = locateStore(personal ?? remote, directories);
    return location.kind === "local" ? location.directories : { storeDir, realStoreDir: storeDir };
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    return { storeDir, realStoreDir: storeDir };
  }
}
