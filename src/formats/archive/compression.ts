/** Which compression a file has, by its first bytes, and the stream of what is in it. */
import { SiloError } from "../../error.ts";
import { bzip2Decoder } from "../bzip2/decode.ts";
import { xzDecoder } from "../xz/decode.ts";

export type Compression = "none" | "gzip" | "bzip2" | "xz" | "zstd";

const magics: ReadonlyArray<readonly [Compression, readonly number[]]> = [
  ["gzip", [0x1f, 0x8b]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
];

/** `begin` has at least six bytes, if the file has. */
export function detectCompression(begin: Uint8Array): Compression {
  return magics.find(([, magic]) => magic.every((byte, i) => begin[i] === byte))?.[0] ?? "none";
}

/** A stream that its decompressor refuses. */
export class BadCompression extends SiloError {
  readonly code = "bad-compression";
  constructor(
    readonly compression: Compression,
    readonly reason: string,
    options?: { readonly cause: unknown },
  ) {
    super(`Cannot decompress ${compression}: ${reason}`, options);
  }
}

/** Chunks are valid until the next one. @throws BadCompression, BadBzip2, BadXz */
export function decompress(source: AsyncIterable<Uint8Array>, compression: Compression): AsyncIterable<Uint8Array> {
  switch (compression) {
    case "none":
      return source;
    case "bzip2":
      return pushed(source, bzip2Decoder);
    case "xz":
      return pushed(source, xzDecoder);
    default:
      return native(source, compression);
  }
}

interface Decoder {
  feed(chunk: Uint8Array): void;
  finish(): void;
}

async function* pushed(
  source: AsyncIterable<Uint8Array>,
  create: (onBytes: (chunk: Uint8Array) => void) => Decoder,
): AsyncGenerator<Uint8Array> {
  const ready: Uint8Array[] = [];
  const decoder = create((chunk) => ready.push(Uint8Array.from(chunk)));
  for await (const chunk of source) {
    decoder.feed(chunk);
    yield* ready.splice(0);
  }
  decoder.finish();
  yield* ready;
}

/** The runtimes' own, which are fast. */
async function* native(source: AsyncIterable<Uint8Array>, compression: "gzip" | "zstd"): AsyncGenerator<Uint8Array> {
  const [{ createGunzip, createZstdDecompress }, { Readable, pipeline }] = await Promise.all([
    import("node:zlib"),
    import("node:stream"),
  ]);
  const decoder = compression === "gzip" ? createGunzip() : createZstdDecompress();
  // What goes wrong in either destroys the other; reading then throws it.
  pipeline(Readable.from(copies(source)), decoder, () => {});
  let size = 0;
  try {
    for await (const chunk of decoder as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      yield chunk;
    }
  } catch (error) {
    if (error instanceof SiloError || !(error instanceof Error)) throw error;
    throw new BadCompression(compression, error.message, { cause: error });
  }
  // One of the runtimes takes a stream without a single whole block for an empty one.
  if (size === 0) throw new BadCompression(compression, "there is nothing in it");
}

/** The decompressor may still hold a chunk when the next is asked for. */
async function* copies(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) yield Uint8Array.from(chunk);
}
