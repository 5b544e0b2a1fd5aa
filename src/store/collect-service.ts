/**
 * Roots and garbage collection, as whoever serves or asks for it sees it: the collector does it here, a daemon's client has
 * it done there. An interface, so that neither knows the other.
 */
import type { StorePath } from "../formats/store-path.ts";

/** `delete-specific` deletes the given paths only, and fails when one is alive. */
export type CollectAction = "return-live" | "return-dead" | "delete-dead" | "delete-specific";

export interface CollectOptions {
  readonly action: CollectAction;
  /** For `delete-specific`. */
  readonly paths: readonly StorePath[];
  /** Do roots count? Not for `delete-specific` when `ignore`. */
  readonly liveness: "respect" | "ignore";
  /** Have `delete-specific` delete what refers to the paths, too. */
  readonly referrers: "delete" | "keep";
  /** Bytes after which to stop; undefined for no limit. */
  readonly maxFreed: number | undefined;
}

/** Full paths, made when they are asked for: there may be millions. */
export interface PathList extends Iterable<string> {
  readonly length: number;
}

export interface CollectResults {
  /** What is live or dead, or was deleted: also files that are no store paths. */
  readonly paths: PathList;
  readonly bytesFreed: number;
}

export interface FoundRoot {
  /** The link or whatever else keeps the path, such as `/proc/123/maps`. */
  readonly link: string;
  readonly target: StorePath;
  /** Found in a running process instead of a link. */
  readonly kind: "link" | "runtime";
}

export interface CollectService {
  findRoots(): readonly FoundRoot[] | Promise<readonly FoundRoot[]>;
  collect(options: CollectOptions): CollectResults | Promise<CollectResults>;
}
