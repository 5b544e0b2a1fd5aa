/** Paths that come to a server, for the store on this machine. */
import { runSync } from "../../formats/codec.ts";
import { readNar } from "../../formats/nar/read-nar.ts";
import { openInfoReceiver } from "../../store/add-with-info.ts";
import { type LocalStore, showPath } from "../../store/local-store.ts";
import { openPlaceBatch } from "../../store/place-batch.ts";
import { isValidPath } from "../../store/queries.ts";
import type { IncomingPaths } from "./server.ts";

export function localIncomingPaths(store: LocalStore): IncomingPaths {
  const batch = openPlaceBatch(store);
  return {
    add(info, reader) {
      store.tempRoots.add([showPath(store, info.path)]);
      if (isValidPath(store, info.path)) return;
      const receiver = openInfoReceiver(store, info, batch.place);
      try {
        runSync(readNar(receiver.visitor), reader);
        receiver.finish();
      } finally {
        receiver.abandon();
      }
    },
    flush: () => batch.flush(),
  };
}
