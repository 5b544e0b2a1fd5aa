/**
 * Binary caches: a directory or web server with `nix-cache-info`, a narinfo for each path, and compressed NARs. See the
 * Nix manual, "Binary Cache Store"; URLs may have the parameters `trusted` and `priority`.
 */
import { SiloError } from "../error.ts";
import { type ByteString, decodeBytes } from "../formats/byte-string.ts";
import { type Compression, decompress } from "../formats/archive/compression.ts";
import { chunkReader } from "../formats/chunk-reader.ts";
import { run } from "../formats/codec.ts";
import { parseContentAddress } from "../formats/content-address.ts";
import { readNar } from "../formats/nar/read-nar.ts";
import { type Narinfo, parseNarinfo } from "../formats/narinfo.ts";
import { hashPart, type StorePath } from "../formats/store-path.ts";
import type { LocalStore } from "../store/local-store.ts";
import type { SubstitutablePathInfo, Substituter } from "../store/substituter.ts";
import { type CacheSource, cacheSource, DownloadFailed } from "./cache-source.ts";

/** Bytes of a narinfo, or of nix-cache-info, at most. */
const maxInfoSize = 4 * 1024 * 1024;

/** Looks at the cache when first asked; one that cannot be used is told of once and has nothing. @throws DownloadFailed for a URL that is none */
export function binaryCache(store: LocalStore, url: string): Substituter {
  const { settings } = store;
  const { base, parameters } = splitParameters(url);
  const source = cacheSource(base, {
    attempts: settings.get("download-attempts"),
    connectTimeoutSec: settings.get("connect-timeout"),
    stalledTimeoutSec: settings.get("stalled-download-timeout"),
    userAgentSuffix: settings.get("user-agent-suffix"),
  });
  const known = new Map<StorePath, Narinfo | undefined>();
  let usable: Promise<boolean> | undefined;

  async function isUsable(): Promise<boolean> {
    usable ??= checkCache(store, source, base).catch((error: unknown) => {
      if (!(error instanceof SiloError)) throw error;
      store.reporter.message("warning", `warning: disabling binary cache '${base}': ${error.message}`);
      return false;
    });
    return usable;
  }

  async function query(path: StorePath): Promise<Narinfo | undefined> {
    if (!known.has(path)) known.set(path, await readNarinfo(store, source, base, path));
    return known.get(path);
  }

  async function queryAll(paths: readonly StorePath[]): Promise<Map<StorePath, Narinfo>> {
    const found = new Map<StorePath, Narinfo>();
    if (paths.length === 0 || !(await isUsable())) return found;
    const limit = settings.get("http-connections") || paths.length;
    await atOnce(limit, paths, async (path) => {
      const narinfo = await query(path);
      if (narinfo !== undefined) found.set(path, narinfo);
    });
    return found;
  }

  return {
    name: base,
    priority: Number(parameters.get("priority") ?? 50) || 50,
    trusted: /^(1|true|yes)$/.test(parameters.get("trusted") ?? ""),
    have: async (paths) => new Set((await queryAll(paths)).keys()),
    async info(paths) {
      const found = await queryAll(paths);
      return new Map(Array.from(found, ([path, narinfo]) => [path, pathInfo(narinfo)]));
    },
    async fetch(path, visitor, signal) {
      const narinfo = await query(path);
      const stream = narinfo === undefined ? undefined : await source.open(narinfo.url, signal);
      if (narinfo === undefined || stream === undefined) {
        throw new DownloadFailed(`${base}/${narinfo?.url ?? hashPart(path)}`, "it is not there any more", "lasting");
      }
      const nar = decompress(stream, compressionOf(narinfo));
      await run(readNar(visitor), chunkReader(nar, `'${base}/${narinfo.url}'`));
      return { narHash: narinfo.narHash };
    },
    close() {},
  };
}

/** @throws DownloadFailed when it is no cache, or one for another store directory */
async function checkCache({ storeDir }: LocalStore, source: CacheSource, base: string): Promise<boolean> {
  const text = await readAll(source, base, "nix-cache-info");
  if (text === undefined) throw new DownloadFailed(base, "it does not appear to be a binary cache", "lasting");
  for (const line of text.split("\n")) {
    const prefix = /^StoreDir: *(.*)$/.exec(line)?.[1];
    if (prefix !== undefined && prefix !== storeDir) {
      throw new DownloadFailed(base, `it is for Nix stores with prefix '${prefix}', not '${storeDir}'`, "lasting");
    }
  }
  return true;
}

async function readNarinfo(
  { storeDir }: LocalStore,
  source: CacheSource,
  base: string,
  path: StorePath,
): Promise<Narinfo | undefined> {
  const file = `${hashPart(path)}.narinfo`;
  const text = await readAll(source, base, file);
  if (text === undefined) return undefined;
  const { narinfo } = parseNarinfo(text, storeDir, `${base}/${file}`);
  // The hash part may be that of another name.
  return narinfo.path === path ? narinfo : undefined;
}

async function readAll(source: CacheSource, base: string, file: string): Promise<ByteString | undefined> {
  const stream = await source.open(file);
  if (stream === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > maxInfoSize)
      throw new DownloadFailed(`${base}/${file}`, `it is longer than ${maxInfoSize} bytes`, "lasting");
    chunks.push(Uint8Array.from(chunk)); // it may be reused
  }
  return decodeBytes(Buffer.concat(chunks));
}

function pathInfo(narinfo: Narinfo): SubstitutablePathInfo {
  const { path, references, deriver, fileSize, narSize, narHash, signatures, contentAddress } = narinfo;
  return {
    path,
    references,
    deriver,
    downloadSize: fileSize,
    narSize,
    narHash,
    signatures,
    contentAddress: contentAddress === undefined ? undefined : tryParse(contentAddress),
  };
}

/** A form that we do not know vouches for nothing, but the path may be signed. */
function tryParse(text: ByteString): SubstitutablePathInfo["contentAddress"] {
  try {
    return parseContentAddress(text);
  } catch (error) {
    if (error instanceof SiloError) return undefined;
    throw error;
  }
}

const compressions: Readonly<Record<string, Compression>> = {
  none: "none",
  gzip: "gzip",
  bzip2: "bzip2",
  xz: "xz",
  zstd: "zstd",
};

function compressionOf({ compression, url }: Narinfo): Compression {
  const known = compressions[compression === undefined || compression === "" ? "bzip2" : compression];
  if (known === undefined) throw new DownloadFailed(url, `unknown compression '${compression}'`, "lasting");
  return known;
}

function splitParameters(url: string): { base: string; parameters: ReadonlyMap<string, string> } {
  const question = url.indexOf("?");
  if (question < 0) return { base: url, parameters: new Map() };
  const pairs = url.slice(question + 1).split("&");
  const parameters = new Map(pairs.map((pair) => [pair.split("=", 1)[0]!, pair.slice(pair.indexOf("=") + 1)]));
  return { base: url.slice(0, question), parameters };
}

/** Does `work` for every item, so many at a time. */
async function atOnce<T>(limit: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
}
