/**
 * A store behind the serve protocol 1.1, of Nix 1.7: it can be asked for paths and fetched from. One command a conversation, so each path that is
 * fetched has one of its own.
 */
import { run } from "../../formats/codec.ts";
import { commands, pathInfos, serveContext } from "../../formats/serve-protocol/commands.ts";
import { encodeOldQuery, encodeOldSubstitute } from "../../formats/serve-protocol/queries.ts";
import { encodeOldClientGreeting, readServerGreeting } from "../../formats/serve-protocol/version.ts";
import { printStorePath, type StoreDir, type StorePath } from "../../formats/store-path.ts";
import { InvalidPath } from "../../store/path-info.ts";
import type { PathDownload, RemotePathInfo, RemoteStore } from "../remote-store.ts";
import { narDownload } from "../path-download.ts";
import { askedInfos } from "../serve/asked-infos.ts";
import { type RemoteProcess, type RemoteReader, remoteEnded } from "../remote-process.ts";
import { OldServeProtocol } from "../serve/client.ts";

/** @param start starts the server */
export function oldServeStore(name: string, storeDir: StoreDir, start: () => Promise<RemoteProcess>): RemoteStore {
  const context = serveContext(storeDir, 0);
  let asked: Promise<RemoteProcess> | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  async function greet(): Promise<RemoteProcess> {
    const process = await start();
    await process.write(encodeOldClientGreeting());
    await run(readServerGreeting(), process.reader);
    return process;
  }

  /** Questions go to one server, one after the other. */
  function ask<T>(
    kind: "have" | "info",
    paths: readonly StorePath[],
    read: (process: RemoteProcess) => Promise<T>,
  ): Promise<T> {
    const isFirst = asked === undefined;
    asked ??= greet();
    const process = asked;
    const answer = turn.then(async () => {
      const server = await process;
      await server.write(encodeOldQuery(context, { kind, paths }, isFirst ? "begin" : "go-on"));
      return read(server);
    });
    turn = answer.catch(() => {});
    return answer;
  }

  async function queryPathInfos(paths: readonly StorePath[]): Promise<Map<StorePath, RemotePathInfo>> {
    if (paths.length === 0) return new Map();
    return askedInfos(paths, await ask("info", paths, ({ reader }) => run(pathInfos.read(context, "infos"), reader)));
  }

  async function computeClosure(starts: readonly StorePath[]): Promise<StorePath[]> {
    const closure = new Set<StorePath>();
    for (let next: readonly StorePath[] = starts; next.length > 0; ) {
      const infos = await queryPathInfos(next);
      for (const path of next) if (!infos.has(path)) throw new InvalidPath(printStorePath(storeDir, path));
      for (const path of infos.keys()) closure.add(path);
      next = [...new Set([...infos.values()].flatMap(({ references }) => references))].filter(
        (path) => !closure.has(path),
      );
    }
    return [...closure].sort();
  }

  async function fetch(path: StorePath, read: (reader: RemoteReader) => Promise<void>): Promise<void> {
    const process = await greet();
    await process.write(encodeOldSubstitute(context, path));
    await read(process.reader);
    process.end();
    const { status } = await process.exited;
    if (status !== 0) throw await remoteEnded(process);
  }

  async function* download(infos: readonly RemotePathInfo[]): AsyncGenerator<PathDownload> {
    for (const info of infos) yield narDownload(info, (read) => fetch(info.path, read));
  }

  const refuse = (what: string) => {
    throw new OldServeProtocol(`Cannot ${what} '${name}': it has Nix 1.7, which only lets paths be fetched`);
  };

  return {
    name,
    storeDir,
    async queryValidPaths(paths) {
      const read = ({ reader }: RemoteProcess) =>
        run(commands.queryValidPaths.reply.read(context, "valid paths"), reader);
      return new Set(await ask("have", paths, read));
    },
    queryPathInfos,
    // It cannot be asked for outputs of derivations: they are copied by their own names.
    computeClosure,
    upload: async () => refuse("copy to"),
    download,
    build: async () => refuse("build on"),
    close: () => void asked?.then((process) => process.end()).catch(() => {}),
  };
}
