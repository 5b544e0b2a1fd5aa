/**
 * Keeps a tree in memory while it is small, since often its hash shows that the store has it already and nothing need
 * be written; what grows beyond the limit goes on to a visitor that is made only then.
 */
import type { ByteString } from "../../formats/byte-string.ts";
import type { FileKind } from "../../formats/nar/format.ts";
import type { NarVisitor } from "../../formats/nar/visitor.ts";

export interface Spool<V extends NarVisitor> extends NarVisitor {
  /** What the tree went to when it grew too large. */
  readonly spilled: V | undefined;
  /** Shows the whole tree to another visitor; only while nothing has spilled. */
  replay(visitor: NarVisitor): void;
}

type SpooledEvent =
  | { readonly kind: "directory"; readonly name: ByteString }
  | { readonly kind: "leave" }
  | { readonly kind: "file"; readonly name: ByteString; readonly type: FileKind; readonly size: number }
  | { readonly kind: "contents"; readonly bytes: Uint8Array }
  | { readonly kind: "end-file" }
  | { readonly kind: "symlink"; readonly name: ByteString; readonly target: ByteString };

/** What an event costs beside its bytes, roughly. */
const eventOverhead = 128;

export function spool<V extends NarVisitor>(maxBytes: number, makeOverflow: () => V): Spool<V> {
  let events: SpooledEvent[] = [];
  let bytes = 0;
  let overflow: V | undefined;

  function replay(visitor: NarVisitor): void {
    for (const event of events) {
      switch (event.kind) {
        case "directory":
          visitor.directory(event.name);
          break;
        case "leave":
          visitor.leaveDirectory();
          break;
        case "file":
          visitor.file(event.name, event.type, event.size);
          break;
        case "contents":
          visitor.contents(event.bytes);
          break;
        case "end-file":
          visitor.endFile();
          break;
        case "symlink":
          visitor.symlink(event.name, event.target);
          break;
      }
    }
  }

  /** The overflow, once there is one; before, what `event` makes is kept. */
  function keep(size: number, event: () => SpooledEvent): V | undefined {
    if (overflow !== undefined) return overflow;
    bytes += size + eventOverhead;
    if (bytes <= maxBytes) {
      events.push(event());
      return undefined;
    }
    overflow = makeOverflow();
    replay(overflow);
    events = [];
    return overflow;
  }

  return {
    get spilled() {
      return overflow;
    },
    replay,
    directory: (name) => keep(name.length, () => ({ kind: "directory", name }))?.directory(name),
    leaveDirectory: () => keep(0, () => ({ kind: "leave" }))?.leaveDirectory(),
    file: (name, type, size) => keep(name.length, () => ({ kind: "file", name, type, size }))?.file(name, type, size),
    contents: (chunk) =>
      keep(chunk.length, () => ({ kind: "contents", bytes: new Uint8Array(chunk) }))?.contents(chunk),
    endFile: () => keep(0, () => ({ kind: "end-file" }))?.endFile(),
    symlink: (name, target) =>
      keep(name.length + target.length, () => ({ kind: "symlink", name, target }))?.symlink(name, target),
  };
}
