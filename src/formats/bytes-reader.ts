/** Bytes in memory as the input of a codec. */
import { UnexpectedEnd } from "../error.ts";
import type { SyncReader } from "./codec.ts";

export interface BytesReader extends SyncReader {
  /** How many bytes have not been read. */
  left(): number;
}

/**
 * Answers alias `bytes`. The reader throws {@link UnexpectedEnd}.
 * @param source what the errors call the input, such as `listing`
 */
export function bytesReader(bytes: Uint8Array, source: string): BytesReader {
  let at = 0;
  const take = (n: number): Uint8Array => {
    if (n > bytes.length - at) throw new UnexpectedEnd(source, bytes.length);
    at += n;
    return bytes.subarray(at - n, at);
  };
  return {
    take,
    takeSome: (n) => take(Math.max(1, Math.min(n, bytes.length - at))),
    left: () => bytes.length - at,
  };
}
