/**
 * Gathers small writes: each becomes a packet of ssh, with its own encryption and system call, which for many small paths costs more than all else. What
 * is gathered goes out before the event loop waits.
 */
import type { RemoteProcess } from "./remote-process.ts";

const gatherSize = 32 * 1024;
const directSize = 16 * 1024;

/** Writes as {@link RemoteProcess.write} does, but small pieces are copied. */
export function coalescingWriter(process: RemoteProcess): RemoteProcess["write"] {
  let gathered = Buffer.allocUnsafeSlow(gatherSize);
  let length = 0;
  let scheduled = false;

  function flush(): Promise<void> | undefined {
    if (length === 0) return undefined;
    const bytes = gathered.subarray(0, length);
    // The stream keeps what it is given: a fresh buffer, unless most of this one is still free.
    gathered = length > gatherSize / 2 ? Buffer.allocUnsafeSlow(gatherSize) : gathered.subarray(length);
    length = 0;
    return process.write(bytes);
  }

  return (bytes) => {
    if (bytes.length >= directSize) {
      const flushed = flush();
      const written = process.write(bytes);
      flushed?.catch(() => {}); // the same failure as that of the write behind it
      return written;
    }
    let flushed: Promise<void> | undefined;
    if (length + bytes.length > gathered.length) {
      flushed = flush();
      if (gathered.length < bytes.length) gathered = Buffer.allocUnsafeSlow(gatherSize);
    }
    gathered.set(bytes, length);
    length += bytes.length;
    if (!scheduled) {
      scheduled = true;
      setImmediate(() => {
        scheduled = false;
        flush()?.catch(() => {}); // shows with the next write or answer
      });
    }
    return flushed;
  };
}
