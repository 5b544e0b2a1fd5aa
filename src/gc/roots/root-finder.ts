/**
 * An external program that knows further roots: NIX_ROOT_FINDER, as in Nix 1.7. It prints candidates, one path a line;
 * what is not in the store is passed over. A finder that fails ends the collection: it may have kept everything.
 */
import { spawnSync } from "node:child_process";
import { SiloError } from "../../error.ts";
import { BadStorePath, isInStore, type StoreDir, type StorePath, toStorePath } from "../../formats/store-path.ts";

export class RootFinderFailed extends SiloError {
  readonly code = "root-finder-failed";
  constructor(
    readonly program: string,
    reason: string,
    cause?: unknown,
  ) {
    super(`Cannot find garbage collector roots: the program '${program}' (NIX_ROOT_FINDER) ${reason}`, { cause });
  }
}

const maxOutput = 256 * 1024 * 1024;

/** @param program started without arguments @param onRoot told each store path in its output @throws RootFinderFailed */
export function runRootFinder(storeDir: StoreDir, program: string, onRoot: (target: StorePath) => void): void {
  const { status, signal, stdout, error } = spawnSync(program, [], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "latin1",
    maxBuffer: maxOutput,
  });
  if (error !== undefined) throw new RootFinderFailed(program, `cannot be run: ${error.message}`, error);
  if (status !== 0) {
    throw new RootFinderFailed(program, signal === null ? `failed with exit code ${status}` : `was ended by ${signal}`);
  }
  for (const line of stdout.split("\n")) {
    if (!isInStore(storeDir, line)) continue;
    try {
      onRoot(toStorePath(storeDir, line));
    } catch (error) {
      if (!(error instanceof BadStorePath)) throw error; // a candidate that is no store path keeps nothing
    }
  }
}
