/**
 * CollectGarbage:
 *
 *     u64 action, set paths to delete, bool ignore liveness, u64 max freed, 3 * u64 obsolete        reply: set paths, u64 bytes freed, u64 0
 *
 * Actions: 0 return live, 1 return dead, 2 delete dead, 3 delete specific. With the feature `delete-dead-specific-referrers` the set is
 * u64 0, set paths, bool delete referrers; or u64 1 for the whole store. All bytes to free are 2^64 - 1.
 */
import type { ByteString } from "../byte-string.ts";
import type { StorePath } from "../store-path.ts";
import { BadWire } from "../wire.ts";
import { deleteReferrers } from "./version.ts";
import { bool, oneOf, record, set, size, storePaths, string, u64, unused, type WireType } from "./wire-type.ts";

/** Their positions are their numbers. */
export const collectActions = ["return-live", "return-dead", "delete-dead", "delete-specific"] as const;
export type CollectAction = (typeof collectActions)[number];

/** `all` is the whole store. */
export interface DeletedPaths {
  readonly paths: readonly StorePath[] | "all";
  readonly referrers: "delete" | "keep";
}

export interface CollectionRequest {
  readonly action: CollectAction;
  readonly toDelete: DeletedPaths;
  readonly ignoreLiveness: boolean;
  /** Bytes; undefined for no limit. */
  readonly maxFreed: number | undefined;
}

const noLimit = 0xffff_ffff_ffff_ffffn;

const toDelete: WireType<DeletedPaths> = {
  *read(context, what) {
    if (!context.features.has(deleteReferrers))
      return { paths: yield* storePaths.read(context, what), referrers: "keep" };
    const tag = yield* u64.read(context, what);
    if (tag === 1n) return { paths: "all", referrers: "keep" };
    if (tag !== 0n) throw new BadWire(what, `expected 0 or 1, found ${tag}`);
    const paths = yield* storePaths.read(context, what);
    return { paths, referrers: (yield* bool.read(context, what)) ? "delete" : "keep" };
  },
  write(writer, { paths, referrers }, context) {
    if (!context.features.has(deleteReferrers)) {
      storePaths.write(writer, paths === "all" ? [] : paths, context);
    } else if (paths === "all") {
      writer.u64(1);
    } else {
      storePaths.write(writer.u64(0), paths, context);
      writer.bool(referrers === "delete");
    }
  },
};

const maxFreed: WireType<number | undefined> = {
  *read(context, what) {
    const bytes = yield* u64.read(context, what);
    return bytes > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(bytes);
  },
  write: (writer, bytes) => void writer.u64(bytes ?? noLimit),
};

/** The last three are there since 1.5, before everything that is spoken. */
export const collectionRequest: WireType<CollectionRequest> = {
  *read(context, what) {
    const request = yield* fields.read(context, what);
    for (let i = 0; i < 3; i++) yield* unused.read(context, what);
    return request;
  },
  write(writer, request, context) {
    fields.write(writer, request, context);
    writer.u64(0).u64(0).u64(0);
  },
};

const fields = record<CollectionRequest>({ action: oneOf(collectActions), toDelete, ignoreLiveness: bool, maxFreed });

export interface CollectionReply {
  /** Full paths, also of what is no store path. */
  readonly paths: readonly ByteString[];
  readonly bytesFreed: number;
}

export const collectionReply: WireType<CollectionReply> = {
  *read(context, what) {
    const reply = yield* replyFields.read(context, what);
    yield* unused.read(context, what);
    return reply;
  },
  write(writer, reply, context) {
    replyFields.write(writer, reply, context);
    writer.u64(0);
  },
};

const replyFields = record<CollectionReply>({ paths: set(string), bytesFreed: size });
