/** Registrations of paths that have no files: for whatever asks the database only. */
import { createHash } from "node:crypto";
import { encodeBase32 } from "../../src/formats/base32.ts";
import { parseStorePath, type StorePath } from "../../src/formats/store-path.ts";
import type { PathInfo } from "../../src/store/path-info.ts";

/** A path whose hash part follows from the name, in no order. */
export function fakePath(name: string): StorePath {
  return parseStorePath(`${encodeBase32(createHash("sha256").update(name).digest().subarray(0, 20))}-${name}`);
}

export function fakeInfo(
  path: StorePath,
  references: Iterable<StorePath> = [],
  rest: Partial<PathInfo> = {},
): PathInfo {
  return {
    path,
    narHash: { algo: "sha256", bytes: new Uint8Array(createHash("sha256").update(path).digest()) },
    narSize: 120,
    references: [...references].sort(),
    deriver: undefined,
    registrationTimeSec: 1_400_000_000,
    ultimate: false,
    signatures: [],
    contentAddress: undefined,
    ...rest,
  };
}
