import type { NarVisitor } from "../../formats/nar/visitor.ts";

/** Shows one tree to several visitors in one pass. */
export function teeVisitor(...visitors: readonly NarVisitor[]): NarVisitor {
  return {
    directory(name) {
      for (const visitor of visitors) visitor.directory(name);
    },
    leaveDirectory() {
      for (const visitor of visitors) visitor.leaveDirectory();
    },
    file(name, kind, size) {
      for (const visitor of visitors) visitor.file(name, kind, size);
    },
    contents(chunk) {
      for (const visitor of visitors) visitor.contents(chunk);
    },
    endFile() {
      for (const visitor of visitors) visitor.endFile();
    },
    symlink(name, target) {
      for (const visitor of visitors) visitor.symlink(name, target);
    },
  };
}
