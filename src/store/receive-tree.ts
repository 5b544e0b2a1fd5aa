/**
 * Receiving a tree for the store from whoever walks or parses it, in one pass: the NAR hash is computed and the files are
 * written, or kept in memory while they are few, before it is known which store path it becomes.
 */
import type { NarVisitor } from "../formats/nar/visitor.ts";
import { deleteTree } from "../sys/delete-tree.ts";
import { kindOf, rename } from "../sys/names.ts";
import { type LocalStore, realPath } from "./local-store.ts";
import { scratchPath } from "./scratch-path.ts";
import { canonicaliseTree } from "./tree/canonical-metadata.ts";
import { type NarDigest, narHasher } from "./tree/nar-hash.ts";
import { restoreTree, type TreeRestorer } from "./tree/restore.ts";
import { spool } from "./tree/spool.ts";
import { teeVisitor } from "./tree/tee-visitor.ts";
import { inheritsAttributes, storeOwner } from "./store-owner.ts";

export interface ReceivedTree extends NarDigest {
  /** Puts the tree at a path that does not exist, with canonical metadata. @throws SystemError */
  moveTo(destination: string): void;
  /** Deletes what is on disk, unless it was moved. */
  discard(): void;
}

/** Trees up to this size stay in memory until it is clear that they are needed. Bytes. */
const maxInMemory = 8 * 1024 * 1024;

/**
 * @param produce shows the tree to the visitor; what it returns is handed on
 * @param taps further visitors of the same pass
 * @throws what `produce` throws, with nothing left behind
 */
export function receiveTree<T>(
  store: LocalStore,
  produce: (visitor: NarVisitor) => T,
  ...taps: readonly NarVisitor[]
): { readonly tree: ReceivedTree; readonly result: T } {
  const receiver = openTreeReceiver(store, ...taps);
  try {
    const result = produce(receiver.visitor);
    return { tree: receiver.finish(), result };
  } catch (error) {
    receiver.abandon();
    throw error;
  }
}

/** Receiving a tree that comes bit by bit, as from a network. */
export interface TreeReceiver {
  readonly visitor: NarVisitor;
  /** When the tree is complete. */
  finish(): ReceivedTree;
  /** When it will not be: leaves nothing behind. */
  abandon(): void;
}

/** One of `finish` and `abandon` must be called. @param taps further visitors of the same pass */
export function openTreeReceiver(store: LocalStore, ...taps: readonly NarVisitor[]): TreeReceiver {
  store.makeRoom("wait");
  let scratch: string | undefined;
  const openScratch = (): TreeRestorer => {
    scratch = realPath(store, scratchPath(store, "add"));
    return restoreTree(scratch, "canonical");
  };
  const files = spool(maxInMemory, openScratch);
  const hasher = narHasher("sha256");
  const discard = () => {
    if (scratch !== undefined) deleteTree(scratch);
    scratch = undefined;
  };
  return {
    visitor: teeVisitor(hasher.visitor, files, ...taps),
    finish: () => ({ ...hasher.finish(), discard, moveTo }),
    abandon() {
      files.spilled?.abandon();
      discard();
    },
  };

  function moveTo(destination: string): void {
    if (scratch === undefined) restoreTo(destination);
    else {
      rename(scratch, destination);
      scratch = undefined;
    }
    if (inheritsAttributes(store)) {
      canonicaliseTree(destination, {
        owner: storeOwner(),
        builderUid: undefined,
        ignoredAttributes: new Set(store.settings.get("ignored-acls")),
        seen: new Set(),
      });
    }
  }

  function restoreTo(destination: string): void {
    const restorer = restoreTree(destination, "canonical");
    try {
      files.replay(restorer);
    } catch (error) {
      restorer.abandon();
      if (kindOf(destination) !== undefined) deleteTree(destination);
      throw error;
    }
  }
}
