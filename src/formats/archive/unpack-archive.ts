/** Unpacks an archive of any kind that is known: zip, or tar with or without compression. */
import { UnexpectedEnd } from "../../error.ts";
import { type AsyncReader, run } from "../codec.ts";
import type { ArchiveVisitor } from "./archive-visitor.ts";
import { decompress, detectCompression } from "./compression.ts";
import { type RandomAccess, readZip } from "./read-zip.ts";
import { readTar } from "./read-tar.ts";

const chunkSize = 256 * 1024;

/** @throws BadArchive, BadCompression, BadBzip2, BadXz, UnexpectedEnd */
export async function unpackArchive(archive: RandomAccess, visitor: ArchiveVisitor): Promise<void> {
  const begin = Uint8Array.from(archive.read(0, Math.min(6, archive.size)));
  // "PK" with an entry, or with the end of an archive that has none.
  if (begin[0] === 0x50 && begin[1] === 0x4b && (begin[2] === 3 || begin[2] === 5)) return readZip(archive, visitor);
  const stream = decompress(chunksOf(archive), detectCompression(begin));
  await run(readTar(visitor), streamReader(stream));
}

async function* chunksOf(archive: RandomAccess): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < archive.size; ) {
    const chunk = archive.read(offset, Math.min(chunkSize, archive.size - offset));
    offset += chunk.length;
    yield chunk;
  }
}

const blockSize = 512;

/** An archive may lack the blocks of zeros at its end, as it may for other programs: they are put there. */
function streamReader(stream: AsyncIterable<Uint8Array>): AsyncReader {
  const iterator = stream[Symbol.asyncIterator]();
  let chunk: Uint8Array = new Uint8Array(0);
  let at = 0;
  let offset = 0;

  async function refill(): Promise<boolean> {
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) return false;
      if (next.value.length === 0) continue;
      chunk = next.value;
      at = 0;
      return true;
    }
  }

  function takeSome(n: number): Uint8Array | Promise<Uint8Array> {
    if (at === chunk.length) return refillAndTakeSome(n);
    const taken = chunk.subarray(at, at + n);
    at += taken.length;
    offset += taken.length;
    return taken;
  }

  async function refillAndTakeSome(n: number): Promise<Uint8Array> {
    if (!(await refill())) throw new UnexpectedEnd("the archive", offset);
    return takeSome(n);
  }

  async function gather(n: number): Promise<Uint8Array> {
    const gathered = new Uint8Array(n);
    for (let length = 0; length < n; ) {
      if (at === chunk.length && !(await refill())) {
        if (length === 0 && n === blockSize) return gathered;
        throw new UnexpectedEnd("the archive", offset);
      }
      const part = await takeSome(n - length);
      gathered.set(part, length);
      length += part.length;
    }
    return gathered;
  }

  return {
    takeSome,
    take: (n) => (chunk.length - at >= n ? takeSome(n) : gather(n)),
  };
}
