import { printStorePath, type StoreDir, type StorePath } from "../../formats/store-path.ts";
import type { Io } from "../io.ts";

/** Prints full paths, one a line. */
export function printPaths(io: Io, dir: StoreDir, paths: Iterable<StorePath>): void {
  for (const path of paths) io.out(`${printStorePath(dir, path)}\n`);
}
