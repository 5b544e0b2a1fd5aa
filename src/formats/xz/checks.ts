/** The checksums of xz: CRC32 (IEEE 802.3), CRC64 (ECMA-182) and SHA-256, each with its low byte first. */
import { createHash } from "../../node-crypto.ts";

export interface Check {
  readonly kind: "none" | "crc32" | "crc64" | "sha256";
  /** Bytes. */
  readonly size: number;
  update(chunk: Uint8Array): void;
  matches(stated: Uint8Array): boolean;
}

export function createCheck(kind: Check["kind"]): Check {
  switch (kind) {
    case "none":
      return { kind, size: 0, update() {}, matches: () => true };
    case "crc32": {
      let crc = 0;
      return {
        kind,
        size: 4,
        update(chunk) {
          crc = crc32(chunk, crc);
        },
        matches: (stated) => sameBytes(stated, crc, 0),
      };
    }
    case "crc64": {
      const crc = crc64();
      return { kind, size: 8, update: crc.update, matches: (stated) => sameBytes(stated, crc.low(), crc.high()) };
    }
    case "sha256": {
      const hash = createHash("sha256");
      return {
        kind,
        size: 32,
        update: (chunk) => void hash.update(chunk),
        matches: (stated) => hash.digest().equals(stated),
      };
    }
  }
}

/** Of `bytes` behind others, whose checksum is `before`. */
export function crc32(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ crc32Table[(crc ^ bytes[i]!) & 0xff]!;
  return ~crc >>> 0;
}

const crc32Table = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** In two halves, since bit operations work on 32 bits. */
function crc64() {
  crc64Tables ??= makeCrc64Tables();
  const [lowTable, highTable] = crc64Tables;
  let low = -1;
  let high = -1;
  return {
    update(bytes: Uint8Array): void {
      let [l, h] = [low, high];
      for (let i = 0; i < bytes.length; i++) {
        const index = (l ^ bytes[i]!) & 0xff;
        l = ((l >>> 8) | (h << 24)) ^ lowTable[index]!;
        h = (h >>> 8) ^ highTable[index]!;
      }
      [low, high] = [l, h];
    },
    low: () => ~low,
    high: () => ~high,
  };
}

let crc64Tables: readonly [low: Int32Array, high: Int32Array] | undefined;

function makeCrc64Tables(): readonly [low: Int32Array, high: Int32Array] {
  const polynomial = 0xc96c5795d7870f42n;
  const low = new Int32Array(256);
  const high = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ polynomial : crc >> 1n;
    low[byte] = Number(BigInt.asIntN(32, crc));
    high[byte] = Number(BigInt.asIntN(32, crc >> 32n));
  }
  return [low, high];
}

function sameBytes(stated: Uint8Array, low: number, high: number): boolean {
  return stated.every((byte, i) => byte === (((i < 4 ? low : high) >>> (8 * (i & 3))) & 0xff));
}
