/** What the store knows of a valid path. */
import type { ContentAddress } from "../formats/content-address.ts";
import type { Hash } from "../formats/hash.ts";
import type { StorePath } from "../formats/store-path.ts";
import { SiloError } from "../error.ts";

export interface PathInfo {
  readonly path: StorePath;
  /** SHA-256 of the path's NAR. */
  readonly narHash: Hash;
  /** Bytes of the NAR; undefined when a store of old never measured it. */
  readonly narSize: number | undefined;
  /** Sorted; the path itself included when it refers to itself. */
  readonly references: readonly StorePath[];
  readonly deriver: StorePath | undefined;
  /** Seconds since the epoch. */
  readonly registrationTimeSec: number;
  /** Built here, so that the store vouches for it without a signature. */
  readonly ultimate: boolean;
  /** `name:base64`, as they stand in the database. */
  readonly signatures: readonly string[];
  readonly contentAddress: ContentAddress | undefined;
}

export class InvalidPath extends SiloError {
  readonly code = "invalid-path";
  /** @param path the full path */
  constructor(readonly path: string) {
    super(`path '${path}' is not valid`);
  }
}
