/** The bytes of one NAR out of a stream that goes on behind it. */
import type { AsyncReader } from "../formats/codec.ts";
import { readNar } from "../formats/nar/read-nar.ts";
import { ignoreNar } from "../formats/nar/visitor.ts";
import { tee } from "../formats/tee.ts";

/** Chunks belong to the receiver. @throws (rejects) BadNar, and what the reader throws */
export async function* narBytes(reader: AsyncReader): AsyncGenerator<Uint8Array> {
  let ready: Uint8Array[] = [];
  const codec = tee(readNar(ignoreNar), (chunk) => ready.push(Uint8Array.from(chunk)));
  let step = codec.next();
  while (!step.done) {
    const want = step.value;
    step = codec.next(await (want > 0 ? reader.take(want) : reader.takeSome(-want)));
    if (ready.length === 0) continue;
    const chunks = ready;
    ready = [];
    yield* chunks;
  }
}
