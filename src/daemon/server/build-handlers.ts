/** Requests to make paths valid. */
import { fromText } from "../../formats/byte-string.ts";
import { type BasicDerivation, derivationKind } from "../../formats/derivation/derivation.ts";
import { printDerivation } from "../../formats/derivation/print-derivation.ts";
import type { StorePath } from "../../formats/store-path.ts";
import { addText } from "../../store/add.ts";
import type { BuildMode } from "../../store/build-service.ts";
import { requireValid } from "../../store/closure.ts";
import { showPath } from "../../store/local-store.ts";
import type { Handlers } from "./handlers.ts";
import { requireTrusted, type Session } from "./session.ts";

export const buildHandlers = {
  async buildPaths(session, { targets, mode }) {
    refuseRepair(session, mode);
    await session.interruptible((signal) => session.services.build.buildPaths(targets, mode, signal));
    return undefined;
  },
  async buildPathsWithResults(session, { targets, mode }) {
    refuseRepair(session, mode);
    return session.interruptible((signal) => session.services.build.buildPathsWithResults(targets, mode, signal));
  },
  async buildDerivation(session, { derivation: named, mode }) {
    refuseRepair(session, mode);
    const { derivation } = named;
    const kind = derivationKind(derivation);
    const isByContents = kind === "fixed" || kind === "floating";
    if (!isByContents) requireTrusted(session, "you are not privileged to build input-addressed derivations");
    // What somebody calls a derivation says nothing: the path must follow from it, or its log and locks could be another's.
    const drvPath = session.peer.trust === "trusted" ? named.drvPath : writeDerivation(session, derivation);
    return session.interruptible((signal) => session.services.build.buildDerivation(drvPath, derivation, mode, signal));
  },
  async ensurePath(session, { path }) {
    await session.interruptible((signal) => session.services.build.ensurePath(path, signal));
    return undefined;
  },
  queryMissing: ({ services }, { targets }) => services.build.queryMissing(targets),
} satisfies Partial<Handlers>;

function refuseRepair(session: Session, mode: BuildMode): void {
  if (mode === "repair") requireTrusted(session, "repairing is not allowed because you are not in 'trusted-users'");
}

/** Adds a derivation without derivations as inputs to the store. @throws InvalidPath for a source that is not valid */
function writeDerivation({ store }: Session, derivation: BasicDerivation): StorePath {
  const references = [...derivation.inputSrcs];
  store.tempRoots.add(references.map((path) => showPath(store, path)));
  requireValid(store, references);
  const text = printDerivation(store.storeDir, { ...derivation, inputDrvs: new Map() });
  return addText(store, fromText(`${derivation.name}.drv`), Buffer.from(text, "latin1"), references);
}
