/**
 * Downloads over http and https, from data: URLs and from files, with retries as Nix makes them: after a failure that may
 * pass, a quarter of a second later, then twice as long each time, with some jitter.
 */
import { type ByteString, fromText } from "../../formats/byte-string.ts";
import { close, O_RDONLY, open, read } from "../../sys/descriptor.ts";
import type { StagedDownloads } from "../stage-task.ts";
import { BuiltinFailure } from "./attributes.ts";
import { findLogin } from "./netrc.ts";
import { sayWarning, startDownload } from "./progress.ts";
import { siloVersion } from "../../version.ts";

const firstDelayMs = 250;

/** A failure that the next attempt may not meet. */
class PassingFailure extends BuiltinFailure {}

/**
 * Hands what the URL leads to to `receive`, from the beginning again when an attempt fails halfway.
 * @throws BuiltinFailure, and what `receive` throws
 */
export async function download(
  url: string,
  settings: StagedDownloads,
  receive: (chunks: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await receive(openUrl(url, settings));
      return;
    } catch (error) {
      if (!(error instanceof PassingFailure) || attempt >= settings.attempts) throw error;
      const delayMs = Math.round(firstDelayMs * 2 ** (attempt - 1 + Math.random() / 2));
      sayWarning(`${error.message}; retrying in ${delayMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }
}

function openUrl(url: string, settings: StagedDownloads): AsyncIterable<Uint8Array> {
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(url)?.[1]?.toLowerCase();
  switch (scheme) {
    case "http":
    case "https":
      return fetchOver(url, settings);
    case "data":
      return fetchOver(url, settings);
    case "file":
      return readLocal(url);
    default:
      throw new BuiltinFailure(`unable to download '${url}': the URL scheme is not http, https, file or data`);
  }
}

async function* fetchOver(url: string, settings: StagedDownloads): AsyncGenerator<Uint8Array> {
  const progress = startDownload(url);
  try {
    const response = await request(url, settings);
    if (!response.ok) throw statusFailure(url, response);
    const expected = Number(response.headers.get("content-length") ?? 0);
    let done = 0;
    for await (const chunk of response.body ?? []) {
      done += chunk.length;
      progress.progress(done, expected);
      yield chunk;
    }
    if (expected > 0 && done < expected && !response.headers.has("content-encoding")) {
      throw new PassingFailure(`unable to download '${url}': it ended after ${done} of ${expected} bytes`);
    }
  } catch (error) {
    throw error instanceof BuiltinFailure
      ? error
      : new PassingFailure(`unable to download '${url}': ${reasonOf(error)}`);
  } finally {
    progress.stop();
  }
}

async function request(url: string, settings: StagedDownloads): Promise<Response> {
  const address = parseUrl(url);
  const headers: Record<string, string> = { "Accept-Encoding": "identity", "User-Agent": userAgent(settings) };
  const login = settings.netrc === undefined ? undefined : findLogin(settings.netrc, address.hostname);
  const user = login?.login ?? decodeURIComponent(address.username);
  if (user !== "") {
    const password = login?.password ?? decodeURIComponent(address.password);
    headers["Authorization"] = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
    address.username = address.password = "";
  }
  const abort = new AbortController();
  const { connectTimeoutSec: timeout } = settings;
  const timer = timeout > 0 ? setTimeout(() => abort.abort(), timeout * 1000) : undefined;
  const certificates = settings.certificates === undefined ? {} : { tls: { ca: settings.certificates } };
  try {
    return await fetch(address, { headers, signal: abort.signal, redirect: "follow", ...certificates });
  } finally {
    clearTimeout(timer);
  }
}

function parseUrl(url: string): URL {
  try {
    return new URL(url);
  } catch {
    throw new BuiltinFailure(`unable to download '${url}': it is not a URL`);
  }
}

function userAgent({ userAgentSuffix: suffix }: StagedDownloads): string {
  return `silo/${siloVersion}${suffix === "" ? "" : ` ${suffix}`}`;
}

/** Statuses of the server's that will be the same the next time; all others of 500 and above may pass. */
const lastingServerErrors = [501, 505, 511];
/** Statuses about the request that may pass: timeout, and too many requests. */
const passingClientErrors = [408, 429];

function statusFailure(url: string, { status, statusText }: Response): BuiltinFailure {
  const message = `unable to download '${url}': HTTP error ${status}${statusText === "" ? "" : ` ('${statusText}')`}`;
  const passing = status >= 500 ? !lastingServerErrors.includes(status) : passingClientErrors.includes(status);
  return passing ? new PassingFailure(message) : new BuiltinFailure(message);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return error.message + cause;
}

const chunkSize = 256 * 1024;

async function* readLocal(url: string): AsyncGenerator<Uint8Array> {
  const path = localPath(url);
  const fd = open(path, O_RDONLY);
  const buffer = Buffer.allocUnsafeSlow(chunkSize);
  try {
    for (;;) {
      const count = read(fd, buffer);
      if (count === 0) return;
      yield buffer.subarray(0, count);
    }
  } finally {
    close(fd);
  }
}

/** `file:///path` or `file:/path`, with percent signs before hexadecimal bytes. */
function localPath(url: string): ByteString {
  const path = url.slice("file:".length).replace(/^\/\/[^/]*/, "");
  if (!path.startsWith("/")) throw new BuiltinFailure(`unable to download '${url}': it names no absolute path`);
  return fromText(path).replace(/%([0-9a-fA-F]{2})/g, (_, hex) => {
    return String.fromCharCode(Number.parseInt(hex, 16));
  }) as ByteString;
}
