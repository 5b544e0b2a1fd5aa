/** Stock Nix as a peer. Without it tests are skipped, unless SILO_REQUIRE_PEERS is 1: then they run, and fail. */
import { spawnSync } from "node:child_process";

const version = spawnSync("nix-store", ["--version"], { env: { ...process.env, NIX_REMOTE: "" } });
const isMissing = version.error !== undefined;

/** For the `skip` of tests that need stock Nix. */
export const skipWithoutNix: string | false =
  isMissing && process.env["SILO_REQUIRE_PEERS"] !== "1" ? "nix-store is not installed" : false;

/** For the `skip` of tests that need another program. */
export function skipWithout(program: string, ...versionArguments: string[]): string | false {
  if (process.env["SILO_REQUIRE_PEERS"] === "1") return false;
  return spawnSync(program, versionArguments).error === undefined ? false : `${program} is not installed`;
}
