/** A store behind the serve protocol 2.x. With another silo only files travel that the receiver does not have under other paths. */
import { type Codec, run } from "../../formats/codec.ts";
import { encodeItemInfo, encodeItemSignature, encodeItemStart, encodeStreamEnd } from "../../formats/export-stream.ts";
import { commands } from "../../formats/serve-protocol/commands.ts";
import { parseStorePath, type StorePath } from "../../formats/store-path.ts";
import { BadWire, WireWriter } from "../../formats/wire.ts";
import type { PathInfo } from "../../store/path-info.ts";
import { encodeRequest, minComparedSize, readReply, type TreeColumns } from "../delta/extension.ts";
import { printOffered } from "../delta/offered-info.ts";
import { rebuildTree } from "../delta/rebuild-tree.ts";
import { bitmap } from "../delta/tree-files.ts";
import { SiloError } from "../../error.ts";
import { narDownload } from "../path-download.ts";
import type { RemoteReader } from "../remote-process.ts";
import type { PathDownload, PathUpload, RemotePathInfo, RemoteStore } from "../remote-store.ts";
import { askedInfos } from "./asked-infos.ts";
import type { ServeClient } from "./client.ts";

/** Requests that are sent before the answer to the first has come. */
const maxAhead = 64;
/** Paths that are compared at once: their trees are in memory, here and there. */
const maxCompared = 64;

const withAddToStoreNar = 5;
const withBuildDerivation = 1;

/** The other side's version of the protocol lacks something. */
export class TooOld extends SiloError {
  readonly code = "remote-too-old";
}

type KnownFiles = NonNullable<Parameters<RemoteStore["download"]>[1]>;

export function serveStore(client: ServeClient): RemoteStore {
  const { name, minor, context } = client;
  const { storeDir } = context;

  async function queryPathInfos(paths: readonly StorePath[]): Promise<Map<StorePath, RemotePathInfo>> {
    return askedInfos(paths, await client.call("queryPathInfos", { paths }));
  }

  async function upload(paths: readonly PathUpload[], onPath: (info: PathInfo) => void): Promise<void> {
    if (minor < withAddToStoreNar) return importPaths(paths, onPath);
    const similar = await querySimilar(paths);
    const confirmed: Promise<unknown>[] = [];
    const confirm = (answer: Promise<unknown>) => {
      answer.catch(() => {}); // awaited in the end, or with what comes after it
      confirmed.push(answer);
    };
    /** Put together over there, and the answer has not come. */
    const unsure = new Map<StorePath, Promise<unknown>>();
    for (const segment of segments(paths, ({ info }) => similar.has(info.path))) {
      const offers = await offer(segment.filter(({ info }) => similar.has(info.path)));
      for (const each of segment) {
        for (const reference of each.info.references) await unsure.get(reference);
        const wanted = offers.get(each);
        if (wanted === undefined) confirm((await sendNar(each)).answer.then(() => onPath(each.info)));
        else {
          const answer = sendContents(each, wanted).then(() => onPath(each.info));
          unsure.set(each.info.path, answer);
          confirm(answer);
        }
      }
    }
    await Promise.all(confirmed);
  }

  /** Resolves when everything has been sent; the answer comes later. */
  async function sendNar({ info, nar }: PathUpload): Promise<{ answer: Promise<undefined> }> {
    const { narSize } = info;
    if (narSize === undefined) throw new BadWire(`size of '${info.path}'`, "it is not known");
    const sent = client.send(async (write) => {
      const writer = new WireWriter().u64(commands.addToStoreNar.code);
      commands.addToStoreNar.request.write(writer, { ...info, narSize, ultimate: false }, context);
      await write(writer.take());
      let size = 0;
      for await (const chunk of nar()) {
        size += chunk.length;
        const full = write(chunk);
        if (full !== undefined) await full;
      }
      if (size !== narSize) throw new BadWire(`contents of '${info.path}'`, `${size} bytes long instead of ${narSize}`);
    });
    const answer = client.receive(({ reader }) => run(commands.addToStoreNar.reply.read(context, "answer"), reader));
    answer.catch(() => {});
    await sent;
    return { answer };
  }

  async function importPaths(paths: readonly PathUpload[], onPath: (info: PathInfo) => void): Promise<void> {
    const sent = client.send(async (write) => {
      await write(new WireWriter().u64(commands.importPaths.code).take());
      for (const { info, nar } of paths) {
        await write(encodeItemStart());
        for await (const chunk of nar()) await write(chunk);
        await write(encodeItemInfo(storeDir, info));
        await write(encodeItemSignature(undefined));
      }
      await write(encodeStreamEnd());
    });
    const answer = client.receive(({ reader }) => run(commands.importPaths.reply.read(context, "answer"), reader));
    await Promise.all([sent, answer]);
    for (const { info } of paths) onPath(info);
  }

  async function querySimilar(paths: readonly PathUpload[]): Promise<ReadonlySet<StorePath>> {
    const worthIt = paths.filter(({ info, comparison }) => comparison !== undefined && isWorthComparing(info));
    if (worthIt.length === 0 || !(await client.isSilo)) return new Set();
    const { paths: similar } = await ask(
      encodeRequest({ kind: "similar", paths: worthIt.map(({ info }) => info.path) }),
      readReply("similar"),
    );
    return new Set(similar.map(parseStorePath));
  }

  /** Which of their files the other side lacks. */
  async function offer(
    paths: readonly PathUpload[],
  ): Promise<Map<PathUpload, { tree: TreeColumns; wanted: Uint8Array }>> {
    const asked: Promise<[PathUpload, { tree: TreeColumns; wanted: Uint8Array }]>[] = [];
    for (const each of paths) {
      const tree = await each.comparison!.describe();
      const { info } = each;
      const narSize = info.narSize!;
      const answer = ask(
        encodeRequest({ kind: "offer", info: printOffered({ ...info, narSize }), tree }),
        readReply("lacking"),
      );
      asked.push(answer.then(({ wanted }) => [each, { tree, wanted }]));
    }
    return new Map(await Promise.all(asked));
  }

  /** Resolves when the path is valid there. */
  async function sendContents(
    upload: PathUpload,
    { tree, wanted }: { tree: TreeColumns; wanted: Uint8Array },
  ): Promise<void> {
    const sent = client.send(async (write) => {
      await write(encodeRequest({ kind: "contents", path: upload.info.path }));
      for (const chunk of upload.comparison!.contents(tree, wanted)) await write(chunk);
    });
    const [{ result }] = await Promise.all([client.receive(({ reader }) => run(readReply("placed"), reader)), sent]);
    if (result === "refused") await (await sendNar(upload)).answer;
  }

  async function* download(infos: readonly RemotePathInfo[], known?: KnownFiles) {
    const compares = known !== undefined && infos.some(isWorthComparing) && (await client.isSilo);
    const isCompared = (info: RemotePathInfo) => compares && isWorthComparing(info) && known.hasSimilar(info.path);
    for (const segment of segments(infos, isCompared)) {
      const plans = compares
        ? await planDownloads(segment.filter(isCompared), known)
        : new Map<StorePath, DownloadPlan>();
      const ahead: PathDownload[] = [];
      let next = 0;
      while (next < segment.length || ahead.length > 0) {
        while (next < segment.length && ahead.length < maxAhead) {
          const info = segment[next++]!;
          const plan = plans.get(info.path);
          ahead.push(plan === undefined ? requestNar(info) : requestFiles(info, plan));
        }
        yield ahead.shift()!;
      }
    }
  }

  interface DownloadPlan {
    readonly tree: TreeColumns;
    readonly sources: readonly (string | undefined)[];
  }

  async function planDownloads(
    infos: readonly RemotePathInfo[],
    known: KnownFiles,
  ): Promise<Map<StorePath, DownloadPlan>> {
    const asked = infos.map(async ({ path }): Promise<[StorePath, DownloadPlan]> => {
      const { tree } = await ask(encodeRequest({ kind: "tree", path }), readReply("tree"));
      return [path, { tree, sources: known.find(path, tree) }];
    });
    return new Map(await Promise.all(asked));
  }

  function requestNar(info: RemotePathInfo): PathDownload {
    const writer = new WireWriter().u64(commands.dumpStorePath.code);
    commands.dumpStorePath.request.write(writer, { path: info.path }, context);
    return narDownload(info, request(writer.take()));
  }

  function requestFiles(info: RemotePathInfo, { tree, sources }: DownloadPlan): PathDownload {
    const wanted = bitmap(sources.length, (i) => sources[i] === undefined);
    const consume = request(encodeRequest({ kind: "files", path: info.path, wanted }));
    return {
      info,
      async show(visitor) {
        let failure: unknown;
        await consume(async (reader) => {
          failure = await run(rebuildTree(tree, sources, visitor), reader);
        });
        if (failure !== undefined) throw failure;
      },
      bytes() {
        throw new Error("files of a tree are no NAR");
      },
    };
  }

  /** Sends a request at once; what it returns reads the answer, which has to wait for who reads it. */
  function request(message: Uint8Array): (body: (reader: RemoteReader) => Promise<void>) => Promise<void> {
    const { promise: body, resolve: start } = Promise.withResolvers<(reader: RemoteReader) => Promise<void>>();
    const sent = client.send(async (write) => write(message));
    const done = client.receive(async () => (await body)(client.impatient));
    done.catch(() => {});
    sent.catch(() => {});
    return async (read) => {
      start(read);
      await sent;
      await done;
    };
  }

  async function ask<T>(message: Uint8Array, answer: Codec<T>): Promise<T> {
    const sent = client.send(async (write) => write(message));
    const [reply] = await Promise.all([client.receive(({ reader }) => run(answer, reader)), sent]);
    return reply;
  }

  return {
    name,
    storeDir,
    async queryValidPaths(paths, { roots, substitute }) {
      return new Set(
        await client.call("queryValidPaths", { lock: roots === "take", substitute: substitute === "use", paths }),
      );
    },
    queryPathInfos,
    computeClosure: (paths, outputs) => client.call("queryClosure", { includeOutputs: outputs === "include", paths }),
    upload,
    download,
    async build({ drvPath, derivation, settings }) {
      if (minor < withBuildDerivation) throw new TooOld(`Cannot build on '${name}': its Nix is too old`);
      return client.call("buildDerivation", { drv: { drvPath, derivation }, settings });
    },
    close: () => client.close(),
  };
}

function isWorthComparing({ narSize }: { readonly narSize: number | undefined }): boolean {
  return narSize !== undefined && narSize >= minComparedSize;
}

/** In order, in parts with at most {@link maxCompared} paths that are compared. */
function* segments<T>(items: readonly T[], isCompared: (item: T) => boolean): Generator<readonly T[]> {
  let segment: T[] = [];
  let compared = 0;
  for (const item of items) {
    if (isCompared(item) && ++compared > maxCompared) {
      yield segment;
      segment = [];
      compared = 1;
    }
    segment.push(item);
  }
  yield segment;
}
