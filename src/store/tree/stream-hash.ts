/**
 * Hashing what may be large: the bytes go to a second thread as soon as it is known that enough will come for that to be
 * worth while.
 */
import type { HashAlgo } from "../../formats/hash.ts";
import { createHash } from "../../node-crypto.ts";
import { hasHashThread, hashInThread, type ThreadHash } from "../../sys/hash-thread.ts";

export interface StreamHash {
  /** Says that this many bytes are about to come. Only the first word counts, and only while little has come. */
  expect(bytes: number): void;
  update(chunk: Uint8Array): void;
  digest(): Uint8Array;
}

/** Starting a thread takes 20 ms, in which 30 MiB can be hashed. A running one is worth while for less. */
const worthStarting = 48 * 1024 * 1024;
const worthUsing = 2 * 1024 * 1024;

export function streamHash(algo: HashAlgo): StreamHash {
  let own: ReturnType<typeof createHash> | undefined;
  let thread: ThreadHash | undefined;
  return {
    expect(bytes) {
      if (own !== undefined || thread !== undefined) return;
      if (bytes >= (hasHashThread() ? worthUsing : worthStarting)) thread = hashInThread(algo);
    },
    update(chunk) {
      if (thread !== undefined) thread.update(chunk);
      else {
        own ??= createHash(algo);
        own.update(chunk);
      }
    },
    digest() {
      if (thread !== undefined) return thread.finish();
      own ??= createHash(algo);
      return new Uint8Array(own.digest());
    },
  };
}
