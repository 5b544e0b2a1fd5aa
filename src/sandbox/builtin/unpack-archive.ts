/**
 * `builtin:unpack` and `builtin:fetch-tarball`, which only silo has: what is in an archive, from a file or from a URL. When that is one
 * directory, then what is in it.
 */
import { toText } from "../../formats/byte-string.ts";
import { unpackTree } from "../../store/tree/unpack-tree.ts";
import { deleteTree } from "../../sys/delete-tree.ts";
import { close, O_CREAT, O_TRUNC, O_WRONLY, open, writeAll } from "../../sys/descriptor.ts";
import type { StagedDownloads } from "../stage-task.ts";
import { type Attributes, requireAttribute } from "./attributes.ts";
import { download } from "./download.ts";

/** @throws BuiltinFailure, and what unpackTree throws */
export async function unpackArchive(attributes: Attributes): Promise<void> {
  await unpackTree(requireAttribute(attributes, "src"), requireAttribute(attributes, "out"), "strip-single-directory");
}

/** Zip archives are read from their end: so the file is kept, in the build directory. @throws BuiltinFailure, and what unpackTree throws */
export async function fetchTarball(attributes: Attributes, settings: StagedDownloads): Promise<void> {
  const archive = "archive";
  await download(toText(requireAttribute(attributes, "url")), settings, async (chunks) => {
    const fd = open(archive, O_WRONLY | O_CREAT | O_TRUNC, 0o600);
    try {
      for await (const chunk of chunks) writeAll(fd, chunk);
    } finally {
      close(fd);
    }
  });
  await unpackTree(archive, requireAttribute(attributes, "out"), "strip-single-directory");
  deleteTree(archive);
}
