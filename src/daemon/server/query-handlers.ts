/** Requests that only ask. */
import { fromText } from "../../formats/byte-string.ts";
import { SiloError } from "../../error.ts";
import { printBareHash } from "../../formats/hash.ts";
import { knownOutputPath } from "../../formats/derivation/derivation.ts";
import { hashPartLength, type StorePath } from "../../formats/store-path.ts";
import type { WireSubstitutableInfo } from "../../formats/worker-protocol/operations.ts";
import { queryFailedPaths } from "../../store/failed-paths.ts";
import { InvalidPath } from "../../store/path-info.ts";
import {
  isValidPath,
  queryAllValidPaths,
  queryDerivationOutputs,
  queryPathFromHashPart,
  queryReferrers,
  queryValidDerivers,
  queryValidPaths,
  requirePathInfo,
} from "../../store/queries.ts";
import { readDerivation } from "../../store/read-derivation.ts";
import { showPath } from "../../store/local-store.ts";
import type { SubstitutablePathInfo } from "../../store/substituter.ts";
import type { Handlers } from "./handlers.ts";
import type { Session } from "./session.ts";

/** The protocol says so, instead of failing, since then. */
const firstWithoutInfo = 17;

export class BadHashPart extends SiloError {
  readonly code = "bad-hash-part";
}

export const queryHandlers = {
  isValidPath: ({ store }, { path }) => isValidPath(store, path),
  hasSubstitutes: async ({ services }, { path }) => (await services.build.querySubstitutablePaths([path])).has(path),
  queryPathHash: ({ store }, { path }) => fromText(printBareHash(requirePathInfo(store, path).narHash, "base16")),
  queryReferences: ({ store }, { path }) => requirePathInfo(store, path).references,
  queryReferrers: ({ store }, { path }) => queryReferrers(store, path),
  queryDeriver: ({ store }, { path }) => requirePathInfo(store, path).deriver,
  queryAllValidPaths({ store, infos }) {
    const paths = queryAllValidPaths(store);
    infos.announce(paths);
    return paths;
  },
  queryFailedPaths: ({ store }) => queryFailedPaths(store),
  queryPathInfo({ store, context, infos }, { path }) {
    const info = infos.query(path);
    if (info === undefined && context.minor < firstWithoutInfo) throw new InvalidPath(showPath(store, path));
    return info;
  },
  queryPathFromHashPart({ store }, { hashPart }) {
    if (hashPart.length !== hashPartLength)
      throw new BadHashPart(`invalid hash part ${JSON.stringify(hashPart)}: expected ${hashPartLength} characters`);
    return queryPathFromHashPart(store, hashPart);
  },
  async queryValidPaths(session, { paths, substitute }) {
    if (substitute) await substituteMissing(session, paths);
    const valid = [...queryValidPaths(session.store, paths)];
    session.infos.announce(valid);
    return valid;
  },
  querySubstitutablePaths: async ({ services }, { paths }) => [
    ...(await services.build.querySubstitutablePaths(paths)),
  ],
  async querySubstitutablePathInfo({ services }, { path }) {
    const info = (await services.build.querySubstitutablePathInfos([path])).get(path);
    return info === undefined ? undefined : wireInfo(info);
  },
  async querySubstitutablePathInfos({ services }, { paths }) {
    const infos = await services.build.querySubstitutablePathInfos([...paths.keys()]);
    return new Map([...infos].map(([path, info]) => [path, wireInfo(info)]));
  },
  queryValidDerivers: ({ store }, { path }) => queryValidDerivers(store, path),
  queryDerivationOutputs: (session, { path }) =>
    [...outputsOf(session, path).values()].filter((output) => output !== undefined),
  queryDerivationOutputNames: (session, { path }) => [...outputsOf(session, path).keys()].map(fromText),
  queryDerivationOutputMap: (session, { path }) =>
    new Map([...outputsOf(session, path)].map(([name, output]) => [fromText(name), output])),
  // Realisations of floating outputs are not recorded here.
  queryRealisation: () => undefined,
} satisfies Partial<Handlers>;

/** All outputs of a valid derivation, with their paths as far as they are known. @throws InvalidPath, BadDerivation */
function outputsOf({ store }: Session, drvPath: StorePath): Map<string, StorePath | undefined> {
  requirePathInfo(store, drvPath);
  const outputs = new Map<string, StorePath | undefined>();
  for (const [name, output] of readDerivation(store.storeDir, store.realStoreDir, drvPath).outputs)
    outputs.set(name, knownOutputPath(output));
  for (const [name, path] of queryDerivationOutputs(store, drvPath)) outputs.set(name, path);
  return outputs;
}

/** Fetches what can be fetched; what cannot is no error here, the client looks at what is valid then. */
async function substituteMissing(session: Session, paths: readonly StorePath[]): Promise<void> {
  const { store, services, reporter } = session;
  if (!store.settings.get("substitute")) return;
  const valid = queryValidPaths(store, paths);
  const missing = paths.filter((path) => !valid.has(path));
  const targets = [...(await services.build.querySubstitutablePaths(missing))];
  if (targets.length === 0) return;
  try {
    await session.interruptible((signal) =>
      services.build.buildPaths(
        targets.map((path) => ({ kind: "opaque", path })),
        "normal",
        signal,
      ),
    );
  } catch (error) {
    if (!(error instanceof SiloError) || error.code === "client-gone") throw error;
    reporter.message("warning", `warning: ${error.message}`);
  }
}

function wireInfo({
  deriver,
  references,
  downloadSize = 0,
  narSize = 0,
}: SubstitutablePathInfo): WireSubstitutableInfo {
  return { deriver, references, downloadSize, narSize };
}
