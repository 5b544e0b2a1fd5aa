/**
 * The files of a binary cache, by name: below a directory, or over http and https. A file that is not there is no error;
 * failures that may pass are tried again, as Nix tries them: a quarter of a second later, then twice as long each time.
 */
import { SiloError } from "../error.ts";
import { fromText, toText } from "../formats/byte-string.ts";
import { close, O_RDONLY, read, tryOpenAt } from "../sys/descriptor.ts";
import { AT_FDCWD } from "../sys/syscall.ts";
import { SystemError } from "../sys/system-error.ts";
import { siloVersion } from "../version.ts";

export interface CacheSource {
  /** Undefined when there is no such file. @throws DownloadFailed (rejects, also the stream) */
  open(file: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>;
}

export class DownloadFailed extends SiloError {
  readonly code = "download-failed";
  constructor(
    readonly url: string,
    readonly reason: string,
    /** Is it worth another try? */
    readonly outlook: "passing" | "lasting",
  ) {
    super(`unable to download '${url}': ${reason}`);
  }
}

export interface DownloadSettings {
  readonly attempts: number;
  /** 0 waits as long as it takes. */
  readonly connectTimeoutSec: number;
  /** Seconds without a byte; 0 waits as long as it takes. */
  readonly stalledTimeoutSec: number;
  readonly userAgentSuffix: string;
}

/** `base` is the cache's URL without parameters. @throws DownloadFailed for a scheme that is none of ours */
export function cacheSource(base: string, settings: DownloadSettings): CacheSource {
  const url = base.replace(/\/+$/, "");
  if (url.startsWith("file://")) return directorySource(url.slice("file://".length));
  if (/^https?:\/\//.test(url)) return webSource(url, settings);
  throw new DownloadFailed(base, "the URL scheme is not http, https or file", "lasting");
}

function directorySource(directory: string): CacheSource {
  return {
    async open(file) {
      const path = `${directory}/${file}`;
      const fd = tryOpenAt(AT_FDCWD, path, O_RDONLY);
      if (fd === -ENOENT || fd === -ENOTDIR) return undefined;
      if (fd < 0) throw new DownloadFailed(path, new SystemError("opening it", -fd).message, "lasting");
      return readChunks(fd);
    },
  };
}

const ENOENT = 2;
const ENOTDIR = 20;

/** Closes the file in the end. */
async function* readChunks(fd: number): AsyncGenerator<Uint8Array> {
  try {
    const buffer = Buffer.allocUnsafeSlow(256 * 1024);
    for (let size = read(fd, buffer); size > 0; size = read(fd, buffer)) yield buffer.subarray(0, size);
  } finally {
    close(fd);
  }
}

const firstDelayMs = 250;

function webSource(base: string, settings: DownloadSettings): CacheSource {
  return {
    async open(file, signal) {
      const url = `${base}/${file}`;
      for (let attempt = 1; ; attempt++) {
        try {
          return await request(url, settings, signal);
        } catch (error) {
          const isPassing = error instanceof DownloadFailed && error.outlook === "passing";
          if (!isPassing || attempt >= settings.attempts || signal?.aborted) throw error;
          const delayMs = firstDelayMs * 2 ** (attempt - 1 + Math.random() / 2);
          await new Promise((resolve) => setTimeout(resolve, delayMs));
        }
      }
    },
  };
}

/** What caches answer for a file that they do not have. */
const absent = new Set([403, 404, 410]);

async function request(
  url: string,
  settings: DownloadSettings,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const connecting = new AbortController();
  const stop = () => connecting.abort();
  signal?.addEventListener("abort", stop, { once: true });
  const timer = settings.connectTimeoutSec > 0 ? setTimeout(stop, settings.connectTimeoutSec * 1000) : undefined;
  try {
    const userAgent = `silo/${siloVersion} ${toText(settings.userAgentSuffix)}`.trim();
    const response = await fetch(toText(url), { signal: connecting.signal, headers: { "user-agent": userAgent } });
    if (absent.has(response.status)) {
      await response.body?.cancel();
      return undefined;
    }
    if (!response.ok) throw new DownloadFailed(url, `HTTP error ${response.status}`, outlookOf(response.status));
    return response.body === null ? nothing() : body(url, response.body, settings, connecting);
  } catch (error) {
    if (error instanceof SiloError) throw error;
    if (connecting.signal.aborted) throw new DownloadFailed(url, "no connection in time", "passing");
    throw new DownloadFailed(url, reasonOf(error), outlookOfError(error));
  } finally {
    clearTimeout(timer);
  }
}

function outlookOf(status: number): DownloadFailed["outlook"] {
  return status === 408 || status === 429 || status >= 500 ? "passing" : "lasting";
}

/** A name that nobody knows will not be known in a second either. */
function outlookOfError(error: unknown): DownloadFailed["outlook"] {
  const text = `${reasonOf(error)} ${error instanceof Error && "code" in error ? String(error.code) : ""}`;
  return /ENOTFOUND|EAI_|DNS|ConnectionRefused|ECONNREFUSED|Unable to connect|resolve|certificate/i.test(text)
    ? "lasting"
    : "passing";
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** @throws DownloadFailed when it breaks off, or nothing comes for too long */
async function* body(
  url: string,
  stream: ReadableStream<Uint8Array>,
  { stalledTimeoutSec }: DownloadSettings,
  controller: AbortController,
): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  let stalled = false;
  try {
    for (;;) {
      const timer =
        stalledTimeoutSec > 0
          ? setTimeout(() => {
              stalled = true;
              controller.abort();
            }, stalledTimeoutSec * 1000)
          : undefined;
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      yield value;
    }
  } catch (error) {
    const reason = stalled ? `nothing came for ${stalledTimeoutSec} seconds` : reasonOf(error);
    throw new DownloadFailed(url, reason, "passing");
  } finally {
    controller.abort();
  }
}

function reasonOf(error: unknown): string {
  return fromText(error instanceof Error ? error.message : String(error));
}
