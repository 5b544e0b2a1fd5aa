/**
 * One connection to a daemon, Nix's or silo's, old or new: requests go out, what the daemon says meanwhile goes to the reporter, and its
 * failures become errors here. Everything blocks; whoever interrupts this process ends the connection, and with it the work there.
 */
import { SiloError, UnexpectedEnd } from "../../error.ts";
import { runSync, type SyncReader } from "../../formats/codec.ts";
import type { Settings } from "../../formats/settings/settings.ts";
import type { StoreDir } from "../../formats/store-path.ts";
import { WireWriter } from "../../formats/wire.ts";
import { greetServer, type ServerHello } from "../../formats/worker-protocol/handshake.ts";
import { readMessage } from "../../formats/worker-protocol/messages.ts";
import { type Operation, operations, type Upload } from "../../formats/worker-protocol/operations.ts";
import { newestMinor } from "../../formats/worker-protocol/version.ts";
import type { WireContext } from "../../formats/worker-protocol/wire-type.ts";
import type { Reporter } from "../../store/reporter.ts";
import { close, writeAll } from "../../sys/descriptor.ts";
import { fdReader } from "../../sys/fd-reader.ts";
import { isSystemError } from "../../sys/system-error.ts";
import { connectUnix } from "../../sys/unix-socket.ts";
import { clientOptionsFrom } from "./client-options.ts";
import { DaemonFailure, daemonFailure } from "./daemon-failure.ts";
import { messageSink } from "./message-sink.ts";
import { interleavedWriter } from "./interleaved-writer.ts";

export interface DaemonConnectionOptions {
  readonly storeDir: StoreDir;
  readonly settings: Settings;
  readonly reporter: Reporter;
  /** Today's level, 0 (error) to 7 (vomit), of what the daemon should say. */
  readonly verbosity: number;
  /** `lines` has builders' output come as messages, `results` as results of their activities. */
  readonly builderOutput: "lines" | "results";
  /** The newest minor version to speak; for tests. */
  readonly newestMinor?: number;
}

/** The daemon has closed the connection where it should not have. */
export class DaemonGone extends SiloError {
  readonly code = "daemon-gone";
}

/** What the daemon is too old, or too new, to do. */
export class DaemonCannot extends SiloError {
  readonly code = "daemon-cannot";
}

/** Data for the daemon while it works, or from it. */
export interface Transfer {
  /** Writes what follows the request: as it is, or in frames. */
  readonly upload?: (onBytes: (bytes: Uint8Array) => void) => void;
  /** Gives the next bytes, at least one and at most as many, when the daemon asks; none at the end. */
  readonly onRead?: (maxBytes: number) => Uint8Array;
  readonly onWrite?: (data: Uint8Array) => void;
}

export interface DaemonConnection {
  readonly context: WireContext;
  readonly hello: ServerHello;
  /** @throws DaemonFailure; DaemonGone */
  call<Request, Reply>(operation: Operation<Request, Reply>, request: Request, transfer?: Transfer): Reply;
  /** As many calls in a row, without waiting for each reply where the daemon bears it. */
  callMany<Request, Reply>(operation: Operation<Request, Reply>, requests: readonly Request[]): Reply[];
  /** As {@link call}, for what follows the reply; the caller takes exactly that. */
  callThen<Request, Reply, T>(
    operation: Operation<Request, Reply>,
    request: Request,
    take: (input: SyncReader) => T,
  ): T;
  close(): void;
}

/** Requests that are sent before their first reply is read; all of them fit in the socket's buffer. */
const pipelineDepth = 64;
/** Until then daemons took the input of another request for a client that misbehaves. */
const firstWithPipelines = 16;

/** @throws SystemError when nobody listens, DaemonFailure when we are refused, BadMagic, BadVersion */
export function connectToDaemon(socketPath: string, options: DaemonConnectionOptions): DaemonConnection {
  return openConnection(connectUnix(socketPath), options);
}

function openConnection(fd: number, options: DaemonConnectionOptions): DaemonConnection {
  const { storeDir, settings, reporter } = options;
  const input = fdReader(fd, "the daemon");
  let isOpen = true;
  const end = () => {
    if (isOpen) close(fd);
    isOpen = false;
  };
  const send = (bytes: Uint8Array) => {
    if (!isOpen) throw new DaemonGone("the connection to the daemon has ended");
    writeAll(fd, bytes);
  };
  const hello = inStep(() => runSync(greetServer(send, options.newestMinor ?? newestMinor), input));
  const context: WireContext = { storeDir, minor: hello.minor, features: hello.features };
  const sink = messageSink(reporter);
  const uploader = interleavedWriter(fd, input, context, sink);

  /** What fails on this side in the middle of a conversation leaves nobody knowing where it stands: the connection ends. */
  function inStep<T>(action: () => T): T {
    try {
      return explainEnd(action);
    } catch (error) {
      if (!(error instanceof DaemonFailure)) end();
      throw error;
    }
  }

  function call<Request, Reply>(
    operation: Operation<Request, Reply>,
    request: Request,
    transfer: Transfer = {},
  ): Reply {
    const bytes = encodeRequest(operation, request, context);
    return inStep(() => {
      send(bytes);
      if (transfer.upload !== undefined) sendUpload(transfer.upload, operation.upload(context));
      awaitLast(transfer);
      return runSync(operation.reply.read(context, "reply of the daemon"), input);
    });
  }

  function sendUpload(upload: NonNullable<Transfer["upload"]>, kind: Upload): void {
    try {
      uploader.upload(upload, kind === "framed" ? "framed" : "raw");
    } catch (error) {
      // A failure that the daemon reports in the middle of data without frames leaves it waiting for the rest.
      if (kind !== "framed") end();
      throw error;
    }
  }

  /** Handles messages up to the last one. @throws DaemonFailure */
  function awaitLast({ onRead, onWrite }: Transfer): void {
    for (;;) {
      const message = runSync(readMessage(context), input);
      switch (message.kind) {
        case "last":
          return;
        case "error":
          throw daemonFailure(message.failure);
        case "read":
          if (onRead === undefined) throw new DaemonGone("the daemon asks for data that nobody has offered");
          send(new WireWriter().bytes(onRead(Math.max(1, Math.min(message.maxBytes, maxPiece)))).take());
          break;
        case "write":
          if (onWrite === undefined) throw new DaemonGone("the daemon sends data that nobody has asked for");
          onWrite(message.data);
          break;
        default:
          sink.show(message);
      }
    }
  }

  function callMany<Request, Reply>(operation: Operation<Request, Reply>, requests: readonly Request[]): Reply[] {
    if (context.minor < firstWithPipelines) return requests.map((request) => call(operation, request));
    const replies: Reply[] = [];
    let failure: DaemonFailure | undefined;
    for (let sent = 0, answered = 0; answered < requests.length; ) {
      // Refilled when half is answered: the daemon always has something to do.
      if (sent - answered <= pipelineDepth / 2 && sent < requests.length) {
        const batch = requests.slice(sent, answered + pipelineDepth);
        const bytes = Buffer.concat(batch.map((request) => encodeRequest(operation, request, context)));
        inStep(() => send(bytes));
        sent += batch.length;
      }
      try {
        inStep(() => {
          awaitLast({});
          replies.push(runSync(operation.reply.read(context, "reply of the daemon"), input));
        });
      } catch (error) {
        if (!(error instanceof DaemonFailure)) throw error;
        failure ??= error; // the others are answered all the same, and must be read
      }
      answered++;
    }
    if (failure !== undefined) throw failure;
    return replies;
  }

  function callThen<Request, Reply, T>(
    operation: Operation<Request, Reply>,
    request: Request,
    take: (input: SyncReader) => T,
  ): T {
    call(operation, request);
    return inStep(() => take(input));
  }

  try {
    inStep(() => awaitLast({}));
    call(operations.setOptions, clientOptionsFrom(settings, context.minor, options));
  } catch (error) {
    end();
    throw error;
  }
  return { context, hello, call, callMany, callThen, close: end };
}

/** Bytes that answer one request for data. */
const maxPiece = 256 * 1024;

function encodeRequest<Request>(
  { code, request: type }: Operation<Request, unknown>,
  request: Request,
  context: WireContext,
): Uint8Array {
  const writer = new WireWriter().u64(code);
  type.write(writer, request, context);
  return writer.take();
}

/** The end of the connection is no detail of reading: the daemon has gone. */
function explainEnd<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (
      !(error instanceof UnexpectedEnd && error.source === "the daemon") &&
      !isSystemError(error, "EPIPE", "ECONNRESET")
    )
      throw error;
    throw new DaemonGone("the daemon has closed the connection unexpectedly; its log may say why", { cause: error });
  }
}
