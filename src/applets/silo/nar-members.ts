/** Visitors that look at the members of a NAR by their path from its root: listing them, and picking one. */
import { SiloError } from "../../error.ts";
import { type ByteString, toText } from "../../formats/byte-string.ts";
import type { NarVisitor } from "../../formats/nar/visitor.ts";

/** Rows are byte strings. `long` is mode, size, path and target, as ls writes them. */
export function tableOf(columns: "names" | "long", onRow: (row: string) => void): NarVisitor {
  const path: string[] = [];
  const row = (mode: string, size: number, name: string, target = "") => {
    const shown = `./${[...path, name].filter((each) => each !== "").join("/")}`.replace(/\/$/, "");
    onRow(columns === "names" ? shown : `${mode} ${String(size).padStart(14)} ${shown}${target}`);
  };
  return {
    directory(name) {
      row("dr-xr-xr-x", 0, name);
      path.push(name);
    },
    leaveDirectory: () => void path.pop(),
    file: (name, kind, size) => row(kind === "executable" ? "-r-xr-xr-x" : "-r--r--r--", size, name),
    contents() {},
    endFile() {},
    symlink: (name, target) => row("lrwxrwxrwx", 0, name, ` -> ${target}`),
  };
}

/** There is no regular file of that name in the archive. */
export class NoSuchMember extends SiloError {
  readonly code = "no-such-member";
  constructor(
    readonly member: string,
    readonly found: "directory" | "symlink" | "nothing",
  ) {
    super(
      `Cannot read '${toText(member)}' of the archive: ${found === "nothing" ? "there is no such member" : `it is a ${found}`}`,
    );
  }
}

/** Hands on the contents of one regular file. `finish` throws {@link NoSuchMember} when it has not come by. */
export function onlyMember(
  member: ByteString,
  onBytes: (chunk: Uint8Array) => void,
): { readonly visitor: NarVisitor; finish(): void } {
  const wanted = member
    .split("/")
    .filter((name) => name !== "" && name !== ".")
    .join("/");
  const path: string[] = [];
  let found: "regular" | "directory" | "symlink" | "nothing" = "nothing";
  let copying = false;
  const isWanted = (name: string) => [...path, name].filter((each) => each !== "").join("/") === wanted;
  return {
    visitor: {
      directory(name) {
        if (isWanted(name)) found = "directory";
        path.push(name);
      },
      leaveDirectory: () => void path.pop(),
      file(name) {
        copying = isWanted(name);
        if (copying) found = "regular";
      },
      contents(chunk) {
        if (copying) onBytes(chunk);
      },
      endFile() {
        copying = false;
      },
      symlink(name) {
        if (isWanted(name)) found = "symlink";
      },
    },
    finish() {
      if (found !== "regular") throw new NoSuchMember(member, found);
    },
  };
}
