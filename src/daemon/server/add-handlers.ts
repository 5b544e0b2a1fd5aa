/** Requests that bring contents into the store, or take them out. */
import { SiloError } from "../../error.ts";
import { runSync, type SyncReader } from "../../formats/codec.ts";
import { readNar } from "../../formats/nar/read-nar.ts";
import { ignoreNar } from "../../formats/nar/visitor.ts";
import { readNumber } from "../../formats/wire.ts";
import type { FramedReader } from "../../formats/worker-protocol/framed.ts";
import { fullPathInfo, type WirePathInfo } from "../../formats/worker-protocol/path-info.ts";
import { addNar, addText } from "../../store/add.ts";
import { addFileContents } from "../../store/add-file-contents.ts";
import { type AddWithInfoOptions, addWithInfo } from "../../store/add-with-info.ts";
import { requireValid } from "../../store/closure.ts";
import { exportItem } from "../../store/export.ts";
import { importPaths } from "../../store/import.ts";
import { realPath, showPath } from "../../store/local-store.ts";
import { requirePathInfo } from "../../store/queries.ts";
import { addSignatures } from "../../store/register.ts";
import { dumpTree } from "../../store/tree/nar-hash.ts";
import type { StorePath } from "../../formats/store-path.ts";
import type { Handlers } from "./handlers.ts";
import { requireTrusted, type Session } from "./session.ts";

export class BadSignatureText extends SiloError {
  readonly code = "bad-signature-text";
}

const maxPaths = 16_000_000;

export const addHandlers = {
  addToStore(session, { name, method, references, repair }, upload) {
    const { store, context } = session;
    if (repair) requireTrusted(session, "repairing is not allowed because you are not in 'trusted-users'");
    rootReferences(session, references);
    const options = { name, method, references, mode: repair ? "repair" : "normal" } as const;
    const isNar = context.minor < 25 || (method.kind === "fixed" && method.method === "recursive");
    const path = isNar ? addNar(store, upload, options) : addFileContents(store, upload as FramedReader, options);
    return { path, info: requirePathInfo(store, path) };
  },
  addTextToStore(session, { name, text, references }) {
    rootReferences(session, references);
    return addText(session.store, name, text, references);
  },
  addToStoreNar(session, { path, info, repair, skipSignatures }, upload) {
    const options = incomingOptions(session, repair, skipSignatures);
    addIncoming(session, { path, ...info }, upload, options);
    return undefined;
  },
  addMultipleToStore(session, { repair, skipSignatures }, upload) {
    const options = incomingOptions(session, repair, skipSignatures);
    const count = runSync(readNumber("number of paths", maxPaths), upload);
    for (let i = 0; i < count; i++) {
      const info = runSync(fullPathInfo.read({ ...session.context, minor: 16 }, "path to add"), upload);
      addIncoming(session, info, upload, options);
    }
    return undefined;
  },
  importPaths(session, _, upload) {
    const { store, peer, services, reporter } = session;
    const verify =
      peer.trust === "trusted" || !store.settings.get("require-sigs")
        ? undefined
        : (services.itemVerifier() ?? (() => false));
    return importPaths(store, upload, verify, (path) =>
      reporter.message("talkative", `importing path '${showPath(store, path)}'...`),
    );
  },
  exportPath({ store, client, services }, { path, sign }) {
    const signer = sign ? services.itemSigner() : undefined;
    exportItem(store, path, (data) => client.message({ kind: "write", data }), signer);
    return undefined;
  },
  narFromPath({ store, afterReply }, { path }) {
    requirePathInfo(store, path);
    store.tempRoots.add([showPath(store, path)]);
    afterReply((onBytes) => void dumpTree(realPath(store, path), onBytes));
    return undefined;
  },
  addSignatures(session, { path, signatures }) {
    requireTrusted(session, "you are not privileged to add signatures");
    requireSignatureTexts(signatures);
    addSignatures(session.store, path, signatures);
    return undefined;
  },
} satisfies Partial<Handlers>;

/** References must be valid, and stay so until the path that has them is. @throws InvalidPath */
function rootReferences({ store }: Session, references: readonly StorePath[]): void {
  if (references.length === 0) return;
  store.tempRoots.add(references.map((path) => showPath(store, path)));
  requireValid(store, references);
}

function incomingOptions(session: Session, repair: boolean, skipSignatures: boolean): AddWithInfoOptions {
  if (repair) requireTrusted(session, "repairing is not allowed because you are not in 'trusted-users'");
  const isTrusted = session.peer.trust === "trusted";
  return { signatures: isTrusted && skipSignatures ? "trust" : "check", mode: repair ? "repair" : "normal" };
}

/** Takes the whole NAR from `upload`, whether it is needed or not. */
function addIncoming(session: Session, info: WirePathInfo, upload: SyncReader, options: AddWithInfoOptions): void {
  const { store, peer } = session;
  requireSignatureTexts(info.signatures);
  rootReferences(
    session,
    info.references.filter((reference) => reference !== info.path),
  );
  const ultimate = info.ultimate && peer.trust === "trusted";
  if (addWithInfo(store, { ...info, ultimate }, upload, options) === "already-valid")
    runSync(readNar(ignoreNar), upload);
}

/** They are kept with blanks between. @throws BadSignatureText */
function requireSignatureTexts(signatures: readonly string[]): void {
  for (const signature of signatures) {
    if (!/^[\x21-\x7e]{1,4000}$/.test(signature) || !signature.includes(":"))
      throw new BadSignatureText(
        `signature ${JSON.stringify(signature.slice(0, 200))} is malformed: expected NAME:BASE64`,
      );
  }
}
