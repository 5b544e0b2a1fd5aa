/** Data that a client sends piece by piece as it is asked to: `read` messages, each answered by a string. */
import { UnexpectedEnd } from "../../error.ts";
import { runSync, type SyncReader } from "../../formats/codec.ts";
import { readBytes } from "../../formats/wire.ts";
import type { ClientChannel } from "./client-channel.ts";

/** Bytes that are asked for at a time. */
const pieceSize = 64 * 1024;

export function pulledReader(input: SyncReader, client: Pick<ClientChannel, "message">): SyncReader {
  let piece: Uint8Array = new Uint8Array(0);
  let at = 0;
  let handedOut = 0;

  function takeSome(n: number): Uint8Array {
    if (at === piece.length) {
      client.message({ kind: "read", maxBytes: pieceSize });
      piece = runSync(readBytes("data of the client", pieceSize), input);
      at = 0;
      if (piece.length === 0) throw new UnexpectedEnd("the client's data", handedOut);
    }
    const bytes = piece.subarray(at, Math.min(piece.length, at + n));
    at += bytes.length;
    handedOut += bytes.length;
    return bytes;
  }

  return {
    takeSome,
    take(n) {
      const first = takeSome(n);
      if (first.length === n) return first;
      const parts = [first];
      for (let length = first.length; length < n; ) {
        const part = takeSome(n - length);
        parts.push(part);
        length += part.length;
      }
      return Buffer.concat(parts, n);
    },
  };
}
