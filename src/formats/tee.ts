/**
 * Watching the bytes that a codec consumes, on their way: a NAR has no length in front, so hashing or forwarding one that
 * is inside another stream means seeing exactly what its reader takes. Works under both drivers, and inside other codecs.
 */
import type { Codec } from "./codec.ts";

/** Answers of at least this many bytes are handed on as they are; smaller ones are gathered to about this much. */
const gatherSize = 32 * 1024;

/**
 * Runs `codec` and hands every byte it consumes to `onBytes`, in order and in chunks worth a call. A chunk is valid
 * during the call only. When the codec throws, the last bytes are not handed on: what they would feed is void as well.
 */
export function* tee<T>(codec: Codec<T>, onBytes: (chunk: Uint8Array) => void): Codec<T> {
  const gathered = new Uint8Array(gatherSize);
  let length = 0;
  let step = codec.next();
  while (!step.done) {
    const bytes = yield step.value;
    if (length > 0 && length + bytes.length > gatherSize) {
      onBytes(gathered.subarray(0, length));
      length = 0;
    }
    if (bytes.length >= gatherSize) onBytes(bytes);
    else {
      gathered.set(bytes, length);
      length += bytes.length;
    }
    step = codec.next(bytes);
  }
  if (length > 0) onBytes(gathered.subarray(0, length));
  return step.value;
}
