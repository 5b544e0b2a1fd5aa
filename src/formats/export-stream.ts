/**
 * The stream of `nix-store --export` and `--import`: store paths with their contents and references.
 *
 *     stream = {u64 1, nar, u64 0x4558494e, string path, list references, string deriver, signature} u64 0
 *     signature = u64 0 | u64 1, string
 *
 * The magic is `NIXE` in its first four bytes. Paths are full ones; an unknown deriver is empty. References are sorted
 * and hold the path itself when it refers to itself; dependencies come before what needs them. The signature is that of
 * Nix 1: RSA, over everything from the NAR's first byte through the deriver (rsa-signature.ts). Nix 2 writes 0 and ignores
 * one. See the Nix manual, "Nix Export format".
 *
 * An item is read in three stages, so that {@link tee} can hash the second:
 *
 *     while ((yield* readItemStart()) === "item") {
 *       const info = yield* tee(readItem(dir, visitor), (chunk) => hasher.update(chunk));
 *       const signature = yield* readItemSignature();
 *     }
 */
import { SiloError } from "../error.ts";
import { type ByteString, compareBytes } from "./byte-string.ts";
import type { Codec } from "./codec.ts";
import { readNar } from "./nar/read-nar.ts";
import type { NarVisitor } from "./nar/visitor.ts";
import { parseFullStorePath, printStorePath, type StoreDir, type StorePath } from "./store-path.ts";
import { readString, readStrings, readU64, WireWriter } from "./wire.ts";

/** What the stream says of a path besides its contents. */
export interface ExportInfo {
  readonly path: StorePath;
  readonly references: readonly StorePath[];
  readonly deriver: StorePath | undefined;
}

export class BadExport extends SiloError {
  readonly code = "bad-export";
  constructor(readonly reason: string) {
    super(`Cannot read export stream: ${reason}`);
  }
}

const itemMagic = 0x4558494en;
/** Far more than a store path refers to, and paths of it fit in memory. */
const maxReferences = 1_000_000;
/** Bytes of a full store path at most, as for any path. */
const maxPathBytes = 4096;
/** Bytes of a signature at most: RSA with 32768 bits. */
const maxSignatureBytes = 4096;

/** Another item, or the end of the stream. @throws BadExport */
export function* readItemStart(): Codec<"item" | "end"> {
  const start = yield* readU64();
  if (start === 0n) return "end";
  if (start === 1n) return "item";
  throw new BadExport(`expected 1 for an item or 0 for the end, found ${start}`);
}

/**
 * The item up to its deriver. The contents go to `visitor`, before it is known what path they are of.
 * @throws BadNar, BadExport, BadWire, BadStorePath
 */
export function* readItem(dir: StoreDir, visitor: NarVisitor): Codec<ExportInfo> {
  yield* readNar(visitor);
  const magic = yield* readU64();
  if (magic !== itemMagic)
    throw new BadExport(`expected the magic 0x4558494e after a NAR, found 0x${magic.toString(16)}`);
  const path = parseFullStorePath(dir, yield* readString("path of exported item", maxPathBytes));
  const limits = { maxCount: maxReferences, maxBytes: maxPathBytes };
  const references = new Set<StorePath>();
  for (const reference of yield* readStrings("references of exported item", limits)) {
    references.add(parseFullStorePath(dir, reference));
  }
  const deriver = yield* readString("deriver of exported item", maxPathBytes);
  return {
    path,
    references: [...references].sort(compareBytes),
    deriver: deriver === "" ? undefined : parseFullStorePath(dir, deriver),
  };
}

/** The raw RSA signature, where there is one. @throws BadExport, BadWire */
export function* readItemSignature(): Codec<ByteString | undefined> {
  const present = yield* readU64();
  if (present === 0n) return undefined;
  if (present !== 1n) throw new BadExport(`expected 1 for a signature or 0 for none, found ${present}`);
  return yield* readString("signature of exported item", maxSignatureBytes);
}

/** What precedes the NAR of each item. */
export function encodeItemStart(): Uint8Array {
  return new WireWriter().u64(1).take();
}

/** What follows the NAR of an item, up to the deriver: the last of what a signature covers. */
export function encodeItemInfo(dir: StoreDir, info: ExportInfo): Uint8Array {
  return new WireWriter()
    .u64(itemMagic)
    .string(printStorePath(dir, info.path))
    .strings([...info.references].sort(compareBytes).map((reference) => printStorePath(dir, reference)))
    .string(info.deriver === undefined ? "" : printStorePath(dir, info.deriver))
    .take();
}

/** What ends an item. */
export function encodeItemSignature(signature: Uint8Array | undefined): Uint8Array {
  const writer = new WireWriter();
  return (signature === undefined ? writer.u64(0) : writer.u64(1).bytes(signature)).take();
}

/** What ends the stream. */
export function encodeStreamEnd(): Uint8Array {
  return new WireWriter().u64(0).take();
}
