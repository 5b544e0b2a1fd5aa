/** Fetching paths instead of building them: what a cache, another machine or a substituter program offers. */
import type { Hash } from "../formats/hash.ts";
import type { StorePath } from "../formats/store-path.ts";
import type { ContentAddress } from "../formats/content-address.ts";
import type { NarVisitor } from "../formats/nar/visitor.ts";

/** What a substituter knows of a path. Sizes in bytes, undefined when not known. */
export interface SubstitutablePathInfo {
  readonly path: StorePath;
  readonly references: readonly StorePath[];
  readonly deriver: StorePath | undefined;
  readonly downloadSize: number | undefined;
  readonly narSize: number | undefined;
  readonly narHash: Hash | undefined;
  readonly signatures: readonly string[];
  readonly contentAddress: ContentAddress | undefined;
}

export interface Substituter {
  /** For messages, such as `ssh://host`. */
  readonly name: string;
  /** Asked first when lower, as in nix-cache-info. */
  readonly priority: number;
  /** Vouched for by the administrator: its paths need no signature. */
  readonly trusted: boolean;
  /** Those of `paths` that it has. */
  have(paths: readonly StorePath[]): Promise<ReadonlySet<StorePath>>;
  /** What it knows of those of `paths` that it has. */
  info(paths: readonly StorePath[]): Promise<ReadonlyMap<StorePath, SubstitutablePathInfo>>;
  /**
   * Fetches the contents of a path it has into `visitor`; resolves when the tree is complete. The hash that it states,
   * if any, comes with the result: the caller has hashed what arrived and compares.
   */
  fetch(path: StorePath, visitor: NarVisitor, signal: AbortSignal): Promise<{ readonly narHash: Hash | undefined }>;
  close(): void;
}
