/**
 * `builtin:fetchurl`: one file, or with `unpack` the tree of a NAR, from a URL. Whether it is the right one is not
 * checked here: the scheduler compares the hash that the derivation declares.
 */
import { decompress } from "../../formats/archive/compression.ts";
import { toText } from "../../formats/byte-string.ts";
import { chunkReader } from "../../formats/chunk-reader.ts";
import { run } from "../../formats/codec.ts";
import { type Hash, parseHash, parseHashAlgo, printBareHash } from "../../formats/hash.ts";
import { readNar } from "../../formats/nar/read-nar.ts";
import { restoreTree } from "../../store/tree/restore.ts";
import { deleteTree } from "../../sys/delete-tree.ts";
import { close, O_CREAT, O_TRUNC, O_WRONLY, open, writeAll } from "../../sys/descriptor.ts";
import { chmod } from "../../sys/metadata.ts";
import type { StagedDownloads } from "../stage-task.ts";
import { type Attributes, BuiltinFailure, requireAttribute } from "./attributes.ts";
import { download } from "./download.ts";

/** @throws BuiltinFailure, and what writing the output throws */
export async function fetchUrl(attributes: Attributes, settings: StagedDownloads): Promise<void> {
  const out = requireAttribute(attributes, "out");
  const mainUrl = toText(requireAttribute(attributes, "url"));
  const unpack = attributes.get("unpack") === "1";
  const compression = unpack && mainUrl.endsWith(".xz") ? "xz" : "none";

  async function fetchFrom(url: string): Promise<void> {
    await download(url, settings, async (chunks) => {
      deleteTree(out); // of an attempt that failed halfway
      if (unpack) await restoreNar(decompress(chunks, compression), out);
      else await writeFile(chunks, out);
    });
    if (attributes.get("executable") === "1") chmod(out, 0o755);
  }

  for (const mirror of mirrorUrls(attributes, settings)) {
    try {
      await fetchFrom(mirror);
      return;
    } catch (error) {
      // Mirrors do not have everything.
      if (!(error instanceof BuiltinFailure)) throw error;
    }
  }
  await fetchFrom(mainUrl);
}

/** `<mirror>/<algorithm>/<hash in base 16>`, for single files, whose hash is that of their contents. */
function mirrorUrls(attributes: Attributes, { hashedMirrors }: StagedDownloads): string[] {
  if (hashedMirrors.length === 0 || attributes.get("outputHashMode") !== "flat") return [];
  const hash = declaredHash(attributes);
  return hashedMirrors.map((mirror) => {
    return `${mirror.replace(/\/?$/, "/")}${hash.algo}/${printBareHash(hash, "base16")}`;
  });
}

function declaredHash(attributes: Attributes): Hash {
  const algorithm = attributes.get("outputHashAlgo") ?? "";
  return parseHash(requireAttribute(attributes, "outputHash"), algorithm === "" ? undefined : parseHashAlgo(algorithm));
}

async function writeFile(chunks: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  const fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o666);
  try {
    for await (const chunk of chunks) writeAll(fd, chunk);
  } finally {
    close(fd);
  }
}

async function restoreNar(chunks: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  const restorer = restoreTree(path, "plain");
  try {
    await run(readNar(restorer), chunkReader(chunks, "the archive"));
  } finally {
    restorer.abandon();
  }
}
