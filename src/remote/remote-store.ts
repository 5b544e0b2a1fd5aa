/**
 * A store on another machine, or behind a daemon, asked asynchronously: over the serve protocol or the worker protocol. Paths go to it and come from it as
 * streams, in the order given, which must have references before what refers to them.
 */
import type { ByteString } from "../formats/byte-string.ts";
import type { BasicDerivation } from "../formats/derivation/derivation.ts";
import type { NarVisitor } from "../formats/nar/visitor.ts";
import type { ServeBuildSettings } from "../formats/serve-protocol/commands.ts";
import type { ServeBuildResult } from "../formats/serve-protocol/build-result.ts";
import type { StoreDir, StorePath } from "../formats/store-path.ts";
import type { Hash } from "../formats/hash.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { TreeColumns } from "./delta/extension.ts";
import type { KnownFiles } from "./delta/known-files.ts";

/** What another store knows of a path. Ones of old do not tell the hash. */
export interface RemotePathInfo extends Omit<PathInfo, "narHash"> {
  readonly narHash: Hash | undefined;
}

/** A path on its way to another store. */
export interface PathUpload {
  readonly info: PathInfo;
  /** Its NAR; chunks belong to the receiver. */
  nar(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** For another silo, which may have most of its files: undefined where the source cannot tell. */
  readonly comparison: PathComparison | undefined;
}

export interface PathComparison {
  describe(): Promise<TreeColumns>;
  /** Of the files with their bit set. */
  contents(tree: TreeColumns, wanted: Uint8Array): Iterable<Uint8Array>;
}

/** A path on its way from another store. One of `show` and `bytes` must be used before the next is asked for. */
export interface PathDownload {
  readonly info: RemotePathInfo;
  /** Resolves when the tree is complete. */
  show(visitor: NarVisitor): Promise<void>;
  /** Its NAR; chunks belong to the receiver. */
  bytes(): AsyncIterable<Uint8Array>;
}

export interface ValidityOptions {
  /** Make the paths temporary roots of the other side, for as long as the conversation lasts. */
  readonly roots: "take" | "none";
  /** Have the other side fetch what it can. */
  readonly substitute: "use" | "no";
}

export interface RemoteStore {
  /** As people call it, such as `ssh://host`. */
  readonly name: string;
  readonly storeDir: StoreDir;
  queryValidPaths(paths: readonly StorePath[], options: ValidityOptions): Promise<ReadonlySet<StorePath>>;
  /** Of those that are valid. */
  queryPathInfos(paths: readonly StorePath[]): Promise<ReadonlyMap<StorePath, RemotePathInfo>>;
  computeClosure(paths: readonly StorePath[], outputs: "include" | "leave-out"): Promise<readonly StorePath[]>;
  /** Resolves when all are valid there. @param onPath told of each path when it is valid there */
  upload(paths: readonly PathUpload[], onPath: (info: PathInfo) => void): Promise<void>;
  /** @param known what is here already, for a comparison with another silo */
  download(infos: readonly RemotePathInfo[], known?: KnownFiles): AsyncGenerator<PathDownload>;
  build(request: RemoteBuild): Promise<ServeBuildResult>;
  /** Ends the conversation. */
  close(): void;
}

export interface RemoteBuild {
  readonly drvPath: StorePath;
  /** Its inputs are all sources. */
  readonly derivation: BasicDerivation;
  readonly settings: ServeBuildSettings;
  /** Output of the builder, where it comes in the conversation itself: a serve protocol's comes on standard error. */
  onLog(bytes: ByteString): void;
}
