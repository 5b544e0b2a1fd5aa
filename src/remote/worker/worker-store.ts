/** A store behind the worker protocol, of `ssh-ng://`. */
import { isDerivationPath, type StorePath } from "../../formats/store-path.ts";
import { WireWriter } from "../../formats/wire.ts";
import { operations } from "../../formats/worker-protocol/operations.ts";
import { fullPathInfo } from "../../formats/worker-protocol/path-info.ts";
import { SiloError } from "../../error.ts";
import { InvalidPath, type PathInfo } from "../../store/path-info.ts";
import { printStorePath } from "../../formats/store-path.ts";
import { narDownload } from "../path-download.ts";
import type { RemoteReader } from "../remote-process.ts";
import type { PathDownload, PathUpload, RemotePathInfo, RemoteStore } from "../remote-store.ts";
import type { WorkerClient } from "./client.ts";

/** Requests that are sent before the answer to the first has come. */
const maxAhead = 64;

const withNarFromPath = 17;
const withFramedAdd = 23;
const withSubstituteFlag = 27;
const withAddMultiple = 32;
const withOutputMap = 22;

/** The other side's version of the protocol lacks something. */
export class DaemonTooOld extends SiloError {
  readonly code = "daemon-too-old";
}

export function workerStore(client: WorkerClient): RemoteStore {
  const { name, context, call } = client;
  const { storeDir, minor } = context;

  async function queryPathInfos(paths: readonly StorePath[]): Promise<Map<StorePath, RemotePathInfo>> {
    if (minor < withNarFromPath) throw new DaemonTooOld(`Cannot use '${name}': its daemon is older than Nix 2.0`);
    const infos = new Map<StorePath, RemotePathInfo>();
    await Promise.all(
      paths.map(async (path) => {
        const info = await call(operations.queryPathInfo, { path }, { answer: "prompt" });
        if (info !== undefined) infos.set(path, { ...info, path, ultimate: false, registrationTimeSec: 0 });
      }),
    );
    return infos;
  }

  async function computeClosure(starts: readonly StorePath[], outputs: "include" | "leave-out") {
    const closure = new Map<StorePath, RemotePathInfo>();
    for (let next = new Set(starts); next.size > 0; ) {
      const infos = await queryPathInfos([...next]);
      for (const path of next) if (!infos.has(path)) throw new InvalidPath(printStorePath(storeDir, path));
      const found = new Set<StorePath>();
      for (const [path, info] of infos) {
        closure.set(path, info);
        for (const reference of info.references) found.add(reference);
      }
      if (outputs === "include") for (const path of await validOutputs([...infos.keys()])) found.add(path);
      next = new Set([...found].filter((path) => !closure.has(path)));
    }
    return [...closure.keys()].sort();
  }

  async function validOutputs(paths: readonly StorePath[]): Promise<readonly StorePath[]> {
    if (minor < withOutputMap) return [];
    const maps = await Promise.all(
      paths.filter(isDerivationPath).map((path) => call(operations.queryDerivationOutputMap, { path })),
    );
    const outputs = maps.flatMap((each) => [...each.values()].filter((path) => path !== undefined));
    return outputs.length === 0 ? [] : call(operations.queryValidPaths, { paths: outputs, substitute: false });
  }

  async function upload(paths: readonly PathUpload[], onPath: (info: PathInfo) => void): Promise<void> {
    if (paths.length === 0) return;
    if (minor < withFramedAdd) throw new DaemonTooOld(`Cannot copy to '${name}': its daemon is older than Nix 2.4`);
    if (minor >= withAddMultiple) {
      const request = { repair: false, skipSignatures: true };
      await call(operations.addMultipleToStore, request, { upload: () => allInOne(paths) });
      for (const { info } of paths) onPath(info);
      return;
    }
    for (const { info, nar } of paths) {
      const request = { path: info.path, info: asSent(info), repair: false, skipSignatures: true };
      await call(operations.addToStoreNar, request, { upload: nar });
      onPath(info);
    }
  }

  async function* allInOne(paths: readonly PathUpload[]): AsyncGenerator<Uint8Array> {
    yield new WireWriter().u64(paths.length).take();
    for (const { info, nar } of paths) {
      const writer = new WireWriter();
      fullPathInfo.write(writer, asSent(info), context);
      yield writer.take();
      yield* nar();
    }
  }

  async function* download(infos: readonly RemotePathInfo[]): AsyncGenerator<PathDownload> {
    const ahead: PathDownload[] = [];
    let next = 0;
    while (next < infos.length || ahead.length > 0) {
      while (next < infos.length && ahead.length < maxAhead) {
        const info = infos[next++]!;
        ahead.push(narDownload(info, request(info.path)));
      }
      yield ahead.shift()!;
    }
  }

  function request(path: StorePath): (body: (reader: RemoteReader) => Promise<void>) => Promise<void> {
    const { promise: body, resolve: start } = Promise.withResolvers<(reader: RemoteReader) => Promise<void>>();
    const done = call(
      operations.narFromPath,
      { path },
      {
        answer: "prompt",
        download: async (reader) => (await body)(reader),
      },
    );
    done.catch(() => {});
    return async (read) => {
      start(read);
      await done;
    };
  }

  return {
    name,
    storeDir,
    async queryValidPaths(paths, { roots, substitute }) {
      const rooted = roots === "take" ? paths.map((path) => call(operations.addTempRoot, { path })) : [];
      const isAsked = substitute === "use" && minor >= withSubstituteFlag;
      const valid = call(
        operations.queryValidPaths,
        { paths, substitute: isAsked },
        isAsked ? {} : { answer: "prompt" },
      );
      await Promise.all(rooted);
      return new Set(await valid);
    },
    queryPathInfos,
    computeClosure,
    upload,
    download,
    build({ drvPath, derivation, onLog }) {
      return call(operations.buildDerivation, { derivation: { drvPath, derivation }, mode: "normal" }, { onLog });
    },
    close: () => client.close(),
  };
}

/** Another machine does not vouch for what we have built. */
function asSent(info: PathInfo): PathInfo {
  return { ...info, ultimate: false };
}
