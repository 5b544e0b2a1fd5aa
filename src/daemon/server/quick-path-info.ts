/**
 * The request that clients make more often than all others together, QueryPathInfo, on a short way: from the bytes that have come to the bytes
 * that go out, when the answer is in memory. Walking a closure of ten thousand paths is ten thousand of these. What is not plain, or has not
 * come whole, is left to the long way (serve-connection.ts), which gives the same bytes.
 */
import { operations } from "../../formats/worker-protocol/operations.ts";
import type { WireContext } from "../../formats/worker-protocol/wire-type.ts";
import type { SqlValue } from "../../runtime/interface.ts";
import type { PathInfoPrefetch, RawPathInfo } from "../../store/path-info-prefetch.ts";

/** An input that shows what it has read ahead. */
export interface PeekingInput {
  peek(): Buffer;
  take(n: number): Uint8Array;
}

/** The reply has had this form since then. */
const firstMinor = 17;
/** The tag of the last message (messages.ts). */
const last = 0x616c7473;
const headSize = 16;
const maxPathLength = 1024;
/** Bytes of a reply at most: with some hundred references. */
const outputSize = 64 * 1024;
/** Bytes of everything in it that is no reference, at most. */
const fixedSize = 4096;

/** Answers the next request if it is one of these; false when nothing was done. */
export function quickPathInfo(
  { minor }: WireContext,
  input: PeekingInput,
  infos: Pick<PathInfoPrefetch, "remembered">,
  send: (bytes: Uint8Array) => void,
): () => boolean {
  if (minor < firstMinor) return () => false;
  const output = Buffer.alloc(outputSize);
  let length = 0;

  function number(value: number): void {
    output.writeUInt32LE(value >>> 0, length);
    output.writeUInt32LE(Math.floor(value / 0x1_0000_0000), length + 4);
    length += 8;
  }

  function string(text: string): void {
    number(text.length);
    const end = length + text.length;
    output.write(text, length, "latin1");
    length = end + (-end & 7);
    output.fill(0, end, length);
  }

  function encode({ row, references }: RawPathInfo): boolean {
    const [, , hash, registrationTime, deriver, narSize, ultimate, signature, contentAddress] = row;
    if (typeof hash !== "string" || !/^sha256:[0-9a-f]{64}$/.test(hash)) return false;
    if (!isPlain(deriver) || !isPlain(signature) || !isPlain(contentAddress)) return false;
    length = 0;
    number(last);
    number(1);
    string(textOf(deriver));
    string(hash.slice("sha256:".length));
    number(references.length);
    for (const reference of references) {
      if (length + reference.length + fixedSize > outputSize) return false;
      string(reference);
    }
    number(Number(registrationTime));
    number(Number(narSize ?? 0));
    number(ultimate === 1 ? 1 : 0);
    number(textOf(signature) === "" ? 0 : 1);
    if (textOf(signature) !== "") string(textOf(signature));
    string(textOf(contentAddress));
    return true;
  }

  return () => {
    const bytes = input.peek();
    if (bytes.length < headSize || word(bytes, 0) !== operations.queryPathInfo.code) return false;
    const size = word(bytes, 8);
    const whole = headSize + size + (-size & 7);
    if (size > maxPathLength || bytes.length < whole) return false;
    for (let i = headSize + size; i < whole; i++) if (bytes[i] !== 0) return false;
    const path = bytes.toString("latin1", headSize, headSize + size);
    const info = infos.remembered(path);
    if (info === undefined || !encode(info)) return false;
    input.take(whole);
    send(output.subarray(0, length));
    return true;
  };
}

/** The number at `at`, as long as it is small; else one that is too large for whatever it counts. */
function word(bytes: Uint8Array, at: number): number {
  for (let i = at + 4; i < at + 8; i++) if (bytes[i] !== 0) return Number.MAX_SAFE_INTEGER;
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** Nothing, or one short word: several signatures have blanks between, and are put in order on the long way. */
function isPlain(value: SqlValue | undefined): value is string | null | undefined {
  return value === null || value === undefined || (typeof value === "string" && /^[\x21-\x7e]{0,1000}$/.test(value));
}

function textOf(value: string | null | undefined): string {
  return value ?? "";
}
