/**
 * Versions of the worker protocol: `major << 8 | minor`, as 1.34 is 0x122. Both sides use the lesser minor version. From 1.38 on,
 * what is new has a name instead, and both sides use the names that both know.
 *
 * Nix 1.7 speaks 1.14, 2.0 1.20, 2.3 1.21, 2.8 1.34, 2.24 and later 1.38. See worker-protocol.hh of each.
 */
import { SiloError } from "../../error.ts";

export const major = 1;
/** The newest minor version that is spoken here. */
export const newestMinor = 38;
/** Clients and daemons older than this, of before Nix 1.0, are refused. */
export const oldestMinor = 10;

/** Realisations name a derivation's path instead of its hash, and path infos have the shape of Nix 2.35. */
export const realisationByPath = "realisation-with-path-not-hash";
/** Deleting says whether referrers go with the paths. */
export const deleteReferrers = "delete-dead-specific-referrers";
/** Failed builds can be asked for and cleared, as in Nix 1: between silo and silo. */
export const siloFailedPaths = "silo-failed-paths";

/** Names that are understood here, ascending. */
export const knownFeatures: readonly string[] = [deleteReferrers, realisationByPath, siloFailedPaths];

export class BadVersion extends SiloError {
  readonly code = "bad-protocol-version";
  constructor(
    /** Who sent it, such as `client`. */
    readonly peer: string,
    readonly version: number,
  ) {
    const spoken = `${major}.${oldestMinor} and later`;
    super(
      `Cannot speak with the ${peer}: it has version ${printVersion(version)} of the protocol, spoken are ${spoken}`,
    );
  }
}

export function wireVersion(minor: number): number {
  return (major << 8) | minor;
}

/** The minor version. @throws BadVersion for one that is too old or of another major version */
export function minorOf(peer: string, version: number): number {
  const minor = version & 0xff;
  if (version >>> 8 !== major || minor < oldestMinor) throw new BadVersion(peer, version);
  return minor;
}

export function printVersion(version: number): string {
  return `${version >>> 8}.${version & 0xff}`;
}
