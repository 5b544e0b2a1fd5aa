/** The words that may continue a command line of silo, for the scripts of `silo completion`. */
import type { ByteString } from "../../formats/byte-string.ts";
import { tryParseStorePath } from "../../formats/store-path.ts";
import { directoriesFromEnvironment } from "../../store/directories.ts";
import { readDirectory } from "../../sys/directory.ts";
import { isSystemError } from "../../sys/system-error.ts";
import { nixApplets, siloApplets } from "../applet-table.ts";
import { completionFlag } from "../command-line.ts";
import type { Io } from "../io.ts";

/** Shells show no more, and a store may have a million. */
const maxPaths = 500;

/** `words` are those after the program's name, the unfinished one last. */
export async function completeSilo(words: readonly ByteString[], io: Io): Promise<number> {
  const [command, ...rest] = words;
  if (rest.length === 0) {
    const names = [...Object.keys(siloApplets), ...Object.keys(nixApplets), "--help", "--version"];
    for (const name of names) if (name.startsWith(command ?? "")) io.out(`${name}\n`);
    return 0;
  }
  if (completeStorePath(rest.at(-1)!, io)) return 0;
  const load = siloApplets[command!] ?? nixApplets[command!];
  return load === undefined ? 0 : (await load()).run([completionFlag as ByteString, ...rest], io);
}

/** Lists the store paths that begin with `word`; false when it is none. */
export function completeStorePath(word: string, io: Io): boolean {
  const { storeDir } = directoriesFromEnvironment(io.env);
  if (!word.startsWith(`${storeDir}/`) || word.indexOf("/", storeDir.length + 1) >= 0) return false;
  const begun = word.slice(storeDir.length + 1);
  try {
    const names = readDirectory(storeDir).map(({ name }) => name);
    const paths = names.filter((name) => name.startsWith(begun) && tryParseStorePath(name) !== undefined).sort();
    for (const name of paths.slice(0, maxPaths)) io.out(`${storeDir}/${name}\n`);
  } catch (error) {
    if (!isSystemError(error)) throw error; // no store, or not ours to read: nothing to offer
  }
  return true;
}
