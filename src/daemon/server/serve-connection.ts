/**
 * One conversation with a client, from the greeting until it leaves: requests are read and answered one after the other. A request that cannot
 * be read, or whose data cannot be skipped after a failure, ends the conversation, as nobody would know where the next one begins.
 */
import { SiloError, UnexpectedEnd } from "../../error.ts";
import { fromText } from "../../formats/byte-string.ts";
import { runSync, type SyncReader } from "../../formats/codec.ts";
import { readU64 } from "../../formats/wire.ts";
import { type FramedReader, framedReader } from "../../formats/worker-protocol/framed.ts";
import { finishGreeting, greetClient, type ServerOffer } from "../../formats/worker-protocol/handshake.ts";
import {
  type Operation,
  type OperationName,
  operationName,
  operations,
  type Upload,
} from "../../formats/worker-protocol/operations.ts";
import { knownFeatures, newestMinor } from "../../formats/worker-protocol/version.ts";
import { nothing, type WireContext } from "../../formats/worker-protocol/wire-type.ts";
import type { LocalStore } from "../../store/local-store.ts";
import type { Reporter } from "../../store/reporter.ts";
import { defaultStoreDir, type StoreDir } from "../../formats/store-path.ts";
import { compatibleNixVersion } from "../../version.ts";
import { type ClientChannel, ClientGone, clientChannel } from "./client-channel.ts";
import { type ClientReporter, clientReporter } from "./client-reporter.ts";
import { handlers } from "./handlers.ts";
import { pathInfoPrefetch } from "../../store/path-info-prefetch.ts";
import { queryHandlers } from "./query-handlers.ts";
import { pulledReader } from "./pulled-reader.ts";
import { type PeekingInput, quickPathInfo } from "./quick-path-info.ts";
import type { DaemonServices, Session, SessionPeer } from "./session.ts";

export interface Connection {
  readonly input: SyncReader & { atEnd(): boolean } & Partial<PeekingInput>;
  /** Blocks until all is sent. @throws SystemError (`EPIPE`) when the client has gone */
  write(bytes: Uint8Array): void;
  /** Has the client gone for good? */
  isGone(): boolean;
  readonly peer: SessionPeer;
}

export interface ServerOptions {
  readonly storeDir: StoreDir;
  openStore(reporter: Reporter): LocalStore;
  /** What the store becomes when a client has changed the settings in it. */
  adapt?(store: LocalStore): Promise<LocalStore>;
  /** @param builderOutput how the client wants to see what builders print */
  services(store: LocalStore, builderOutput: ClientReporter["builderOutput"]): DaemonServices;
  /** Told what an administrator may want to know of failures. */
  log(line: string): void;
  /** Calls `interrupt` when this process is asked to end; returns what undoes that. */
  onInterrupt?(interrupt: (signal: string) => void): () => void;
  /** The newest minor version to speak; for tests. */
  readonly newestMinor?: number;
}

/** Why a client is turned away, told in its own protocol. */
export function refuseConnection(connection: Connection, reason: string): void {
  const { channel } = greet(connection, { storeDir: defaultStoreDir }, "unknown");
  failRequest(channel, new Refused(reason));
}

class Refused extends SiloError {
  readonly code = "refused";
}

/** Resolves when the client has left. @throws SiloError for a greeting that is none */
export async function serveConnection(connection: Connection, options: ServerOptions): Promise<void> {
  const { trust } = connection.peer;
  const { context, channel } = greet(connection, options, trust === "trusted" ? "trusted" : "not-trusted");
  const reporter = clientReporter(channel, context.minor, presenceCheck(connection, channel));
  channel.beginWork();
  let store: LocalStore;
  try {
    store = options.openStore(reporter);
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    options.log(`cannot open the store: ${error.message}`);
    failRequest(channel, error);
    return;
  }
  try {
    channel.endWork(nothing, undefined);
    await serveRequests(connection, options, { context, channel, reporter, store });
  } catch (error) {
    if (!(error instanceof ClientGone)) throw error;
    options.log(error.message);
  } finally {
    store.close();
  }
}

function greet(
  { input, write }: Connection,
  { storeDir, newestMinor: minor = newestMinor }: Pick<ServerOptions, "storeDir" | "newestMinor">,
  trust: ServerOffer["trust"],
): { context: WireContext; channel: ClientChannel } {
  const offer: ServerOffer = { minor, features: knownFeatures, nixVersion: compatibleNixVersion, trust };
  const agreement = runSync(greetClient(offer, write), input);
  runSync(finishGreeting(offer, agreement, write), input);
  const context = { storeDir, ...agreement };
  return { context, channel: clientChannel(context, write) };
}

interface Started extends Pick<Session, "context" | "reporter" | "store"> {
  readonly channel: ClientChannel;
}

async function serveRequests(connection: Connection, options: ServerOptions, started: Started): Promise<void> {
  const { input, peer } = connection;
  const { context, channel, reporter } = started;
  let { store } = started;
  let services: DaemonServices | undefined;
  let afterReply: ((onBytes: (bytes: Uint8Array) => void) => void) | undefined;
  const infos = pathInfoPrefetch(store);
  const session: Session = {
    context,
    infos,
    input,
    client: channel,
    reporter,
    peer,
    get store() {
      return store;
    },
    get services() {
      services ??= options.services(store, reporter.builderOutput);
      return services;
    },
    async useStore(next) {
      store = options.adapt === undefined ? next : await options.adapt(next);
      services?.close();
      services = undefined;
    },
    interruptible: (work) => interruptible(connection, channel, options, work),
    afterReply(send) {
      afterReply = send;
    },
  };

  const quick = canPeek(input) ? quickPathInfo(context, input, infos, channel.send) : () => false;
  try {
    while (!input.atEnd()) {
      if (quick()) continue;
      afterReply = undefined;
      const goOn = await serveRequest(session, options, () => afterReply);
      if (goOn === "close") return;
    }
  } finally {
    services?.close();
  }
}

function canPeek(input: Connection["input"]): input is Connection["input"] & PeekingInput {
  return input.peek !== undefined;
}

/** Serves the next request; `close` when no other can follow. */
async function serveRequest(
  session: Session,
  { log }: ServerOptions,
  takeAfterReply: () => ((onBytes: (bytes: Uint8Array) => void) => void) | undefined,
): Promise<"next" | "close"> {
  const { context, input, client } = session;
  let name: OperationName;
  let request: unknown;
  try {
    name = readOperation(runSync(readU64(), input));
    request = runSync((operations[name] as Operation<unknown, unknown>).request.read(context, name), input);
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    if (!(error instanceof UnexpectedEnd)) {
      log(error.message);
      failRequest(client, error);
    }
    return "close";
  }
  if (!Object.hasOwn(queryHandlers, name)) session.infos.forget();
  const operation = operations[name] as Operation<unknown, unknown>;
  const kind = operation.upload(context);
  const upload = openUpload(kind, session);
  const handle = handlers[name] as (session: Session, request: unknown, upload: SyncReader) => unknown;
  try {
    client.beginWork();
    const result = handle(session, request, upload);
    const reply = result instanceof Promise ? await result : result;
    if (kind === "framed") (upload as FramedReader).drain();
    client.endWork(operation.reply, reply);
  } catch (error) {
    if (error instanceof ClientGone) throw error;
    return failWork(session, name, error, kind, upload, log);
  }
  takeAfterReply()?.((bytes) => client.send(bytes));
  return "next";
}

function failWork(
  { client }: Session,
  name: OperationName,
  error: unknown,
  kind: Upload,
  upload: SyncReader,
  log: (line: string) => void,
): "next" | "close" {
  if (error instanceof SiloError) log(`${name}: ${error.message}`);
  else log(`${name}: bug: ${error instanceof Error ? error.stack : String(error)}`);
  failRequest(client, error);
  if (!(error instanceof SiloError) || kind === "nar") return "close";
  if (kind === "framed") {
    try {
      (upload as FramedReader).drain();
    } catch (drained) {
      if (!(drained instanceof SiloError)) throw drained;
      return "close"; // the frames themselves were malformed, or ended
    }
  }
  return "next";
}

class InvalidOperation extends SiloError {
  readonly code = "invalid-operation";
}

function readOperation(code: bigint): OperationName {
  const name = operationName(Number(code));
  if (name === undefined) throw new InvalidOperation(`invalid operation ${code}`);
  return name;
}

function openUpload(kind: Upload, { input, client }: Session): SyncReader {
  switch (kind) {
    case "framed":
      return framedReader(input);
    case "pulled":
      return pulledReader(input, client);
    default:
      return input;
  }
}

function failRequest(channel: ClientChannel, error: unknown): void {
  const isOurs = error instanceof SiloError;
  const message = isOurs ? error.message : "internal error of the daemon; its log has more";
  const exitStatus = isOurs ? error.exitStatus : 1;
  channel.fail({ kind: "error", failure: { message: fromText(message), exitStatus, traces: [] } });
}

/** How often work that does not wait looks whether somebody still wants it. */
const presenceIntervalMs = 100;

/** Throws when the client has gone; looks now and then only. While a promise is awaited {@link interruptible} looks, and nothing is thrown. */
function presenceCheck({ isGone }: Connection, channel: ClientChannel): () => void {
  let last = Date.now();
  return () => {
    if (channel.onGone !== undefined) return;
    const now = Date.now();
    if (now - last < presenceIntervalMs) return;
    last = now;
    if (isGone()) throw new ClientGone();
  };
}

async function interruptible<T>(
  { isGone }: Connection,
  channel: ClientChannel,
  { onInterrupt = () => () => {} }: ServerOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const gone = () => controller.abort(new ClientGone());
  const timer = setInterval(() => {
    if (isGone()) gone();
  }, presenceIntervalMs);
  const forget = onInterrupt((signal) => controller.abort(new Interrupted(`the daemon was ended by ${signal}`)));
  channel.onGone = gone;
  try {
    return await work(controller.signal);
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    channel.onGone = undefined;
    forget();
    clearInterval(timer);
  }
}

class Interrupted extends SiloError {
  readonly code = "interrupted";
}
