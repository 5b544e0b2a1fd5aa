/** A path that is being sent, in the two ways in which somebody may want it. */
import { run } from "../formats/codec.ts";
import { readNar } from "../formats/nar/read-nar.ts";
import { narBytes } from "./nar-bytes.ts";
import type { RemoteReader } from "./remote-process.ts";
import type { PathDownload, RemotePathInfo } from "./remote-store.ts";

/** @param consume has its argument read the answer, when it has come */
export function narDownload(
  info: RemotePathInfo,
  consume: (body: (reader: RemoteReader) => Promise<void>) => Promise<void>,
): PathDownload {
  return {
    info,
    show: (visitor) => consume((reader) => run(readNar(visitor), reader)),
    async *bytes() {
      // The answer is read by whoever has its turn; here, chunk by chunk, as the receiver takes them.
      let chunk = Promise.withResolvers<Uint8Array | undefined>();
      let taken = Promise.withResolvers<void>();
      const done = consume(async (reader) => {
        for await (const bytes of narBytes(reader)) {
          chunk.resolve(bytes);
          await taken.promise;
          taken = Promise.withResolvers();
        }
        chunk.resolve(undefined);
      });
      done.catch((error) => chunk.reject(error));
      for (;;) {
        const bytes = await chunk.promise;
        if (bytes === undefined) break;
        chunk = Promise.withResolvers();
        yield bytes;
        taken.resolve();
      }
      await done;
    },
  };
}
