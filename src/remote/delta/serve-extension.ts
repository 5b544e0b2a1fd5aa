/** The serving side of the extension. What a client has offered stays in memory until its contents come. */
import { runSync } from "../../formats/codec.ts";
import { parseStorePath, type StorePath } from "../../formats/store-path.ts";
import { openInfoReceiver } from "../../store/add-with-info.ts";
import type { LocalStore } from "../../store/local-store.ts";
import { placeObject } from "../../store/place-object.ts";
import type { PathInfo } from "../../store/path-info.ts";
import { requirePathInfo } from "../../store/queries.ts";
import type { Served, ServeStreams } from "../serve/server.ts";
import { describeTree, type LinkNames, linkNames, toTheEnd } from "./describe-tree.ts";
import {
  BadExtension,
  encodeReply,
  type ExtensionRequest,
  extensionCode,
  readRequest,
  type TreeColumns,
} from "./extension.ts";
import { fileContents } from "./file-contents.ts";
import { type KnownFiles, knownFiles } from "./known-files.ts";
import { parseOffered } from "./offered-info.ts";
import { isRefusal, rebuildTree } from "./rebuild-tree.ts";
import { bitmap } from "./tree-files.ts";

export interface ExtensionServer {
  /** False when the number is none of ours. */
  serve(code: number): boolean;
}

interface Offer {
  readonly info: PathInfo;
  readonly tree: TreeColumns;
  readonly sources: readonly (string | undefined)[];
}

/** Offers, and trees that were asked for, that wait at once: a client that stays within knows its bounds. */
const maxWaiting = 1000;

export function extensionServer(
  store: LocalStore,
  { access }: Pick<Served, "access">,
  { reader, write }: ServeStreams,
): ExtensionServer {
  const offers = new Map<StorePath, Offer>();
  const trees = new Map<StorePath, TreeColumns>();
  let known: KnownFiles | undefined;
  let links: LinkNames | undefined;
  const files = () => {
    known ??= knownFiles(store);
    return known;
  };

  function answer(request: ExtensionRequest): void {
    switch (request.kind) {
      case "similar":
        write(
          encodeReply({
            kind: "similar",
            paths: request.paths.filter((path) => files().hasSimilar(parseStorePath(path))),
          }),
        );
        break;
      case "offer": {
        requireWriteAccess();
        const info = parseOffered(request.info);
        const sources = files().find(info.path, request.tree);
        remember(offers, info.path, { info, tree: request.tree, sources });
        write(encodeReply({ kind: "lacking", wanted: bitmap(sources.length, (i) => sources[i] === undefined) }));
        break;
      }
      case "contents":
        write(encodeReply({ kind: "placed", result: place(take(offers, parseStorePath(request.path))) }));
        break;
      case "tree": {
        const { path } = requirePathInfo(store, parseStorePath(request.path));
        links ??= linkNames(store);
        const tree = toTheEnd(describeTree(store, path, links));
        remember(trees, path, tree);
        write(encodeReply({ kind: "tree", tree }));
        break;
      }
      case "files": {
        const path = parseStorePath(request.path);
        for (const chunk of fileContents(store, path, take(trees, path), request.wanted)) write(chunk);
        break;
      }
    }
  }

  function place({ info, tree, sources }: Offer): "valid" | "refused" {
    const receiver = openInfoReceiver(store, info, (received) => placeObject(store, received, info, "normal"));
    try {
      const failure = runSync(rebuildTree(tree, sources, receiver.visitor), reader);
      if (failure !== undefined) throw failure;
      receiver.finish();
      return "valid";
    } catch (error) {
      if (isRefusal(error)) return "refused";
      throw error;
    } finally {
      receiver.abandon();
    }
  }

  function requireWriteAccess(): void {
    if (access !== "write") throw new BadExtension("importing paths is not allowed");
  }

  return {
    serve(code) {
      if (code !== extensionCode) return false;
      answer(runSync(readRequest(), reader));
      return true;
    },
  };
}

function remember<T>(waiting: Map<StorePath, T>, path: StorePath, value: T): void {
  if (waiting.size >= maxWaiting) throw new BadExtension(`more than ${maxWaiting} paths wait for their contents`);
  waiting.set(path, value);
}

function take<T>(waiting: Map<StorePath, T>, path: StorePath): T {
  const value = waiting.get(path);
  if (value === undefined) throw new BadExtension(`'${path}' was not offered before`);
  waiting.delete(path);
  return value;
}
