/**
 * A conversation in the serve protocol, from the client's side. Requests are sent at once and answered in order, so that a copy does not wait for each
 * answer: on a slow network that is most of the time.
 */
import { type Codec, run } from "../../formats/codec.ts";
import { SiloError } from "../../error.ts";
import {
  type Command,
  type CommandName,
  type CommandReply,
  type CommandRequest,
  commands,
  serveContext,
} from "../../formats/serve-protocol/commands.ts";
import { encodeClientGreeting, readServerGreeting } from "../../formats/serve-protocol/version.ts";
import type { StoreDir } from "../../formats/store-path.ts";
import { WireWriter } from "../../formats/wire.ts";
import type { WireContext } from "../../formats/worker-protocol/wire-type.ts";
import { extensionMarker } from "../delta/extension.ts";
import { coalescingWriter } from "../coalescing-writer.ts";
import { type Timeouts, withGreetingTimeout } from "../greeting-timeout.ts";
import { impatientReader } from "../impatient-reader.ts";
import type { RemoteProcess, RemoteReader } from "../remote-process.ts";

type RequestFor<N extends CommandName> = CommandRequest<(typeof commands)[N]>;
type ReplyFor<N extends CommandName> = CommandReply<(typeof commands)[N]>;

export interface ServeClient {
  readonly name: string;
  readonly minor: number;
  readonly context: WireContext;
  /** Is the other side a silo that speaks our extension? */
  readonly isSilo: Promise<boolean>;
  call<N extends CommandName>(name: N, request: RequestFor<N>): Promise<ReplyFor<N>>;
  /** Sends what `body` hands on as one piece of the conversation. Rejects when the conversation is over. */
  send(body: (write: (bytes: Uint8Array) => Promise<void> | undefined) => Promise<void>): Promise<void>;
  /** For answers that come at once. */
  readonly impatient: RemoteReader;
  /** Reads the next answer that nobody waits for yet. */
  receive<T>(read: (process: RemoteProcess) => Promise<T>): Promise<T>;
  close(): void;
}

/** The server is that of Nix 1.7, which has other commands. */
export class OldServeProtocol extends SiloError {
  readonly code = "old-serve-protocol";
}

/** @throws (rejects) RemoteEnded, BadServeMagic, BadServeVersion, OldServeProtocol */
export async function openServeClient(
  process: RemoteProcess,
  storeDir: StoreDir,
  timeouts: Timeouts,
): Promise<ServeClient> {
  const version = await withGreetingTimeout(process, timeouts.greetingMs, async () => {
    await process.write(encodeClientGreeting());
    return run(readServerGreeting(), process.reader);
  });
  if (version.kind === "1.1") {
    process.kill();
    throw new OldServeProtocol(
      `Cannot use '${process.name}' for this: it has Nix 1.7, which only lets paths be fetched`,
    );
  }
  const { minor } = version;
  const context = serveContext(storeDir, minor);
  /** What ended the conversation: nothing that comes after it can be understood. */
  let failure: unknown;
  let answers: Promise<unknown> = Promise.resolve();
  let sending: Promise<unknown> = Promise.resolve();
  const write = coalescingWriter(process);
  const impatient = impatientReader(process, timeouts.stalledMs);

  function receive<T>(read: (process: RemoteProcess) => Promise<T>): Promise<T> {
    const answer = answers.then(async () => {
      if (failure !== undefined) throw failure;
      try {
        return await read(process);
      } catch (error) {
        failure ??= error;
        throw error;
      }
    });
    answers = answer.catch(() => {});
    return answer;
  }

  function send(body: (write: (bytes: Uint8Array) => Promise<void> | undefined) => Promise<void>): Promise<void> {
    const sent = sending.then(async () => {
      if (failure !== undefined) throw failure;
      await body(write);
    });
    sending = sent.catch((error) => {
      failure ??= error;
    });
    return sent;
  }

  async function call<N extends CommandName>(name: N, request: RequestFor<N>): Promise<ReplyFor<N>> {
    const command = commands[name] as Command<RequestFor<N>, ReplyFor<N>>;
    const writer = new WireWriter().u64(command.code);
    command.request.write(writer, request, context);
    const sent = send(async (write) => write(writer.take()));
    const reader = mayTakeTime(name, request) ? process.reader : impatient;
    const [reply] = await Promise.all([
      receive(() => run(command.reply.read(context, "reply") as Codec<ReplyFor<N>>, reader)),
      sent,
    ]);
    return reply;
  }

  const isSilo = call("queryValidPaths", { lock: false, substitute: false, paths: [extensionMarker] }).then(
    (valid) => valid.includes(extensionMarker),
    () => false, // the next request says what is wrong
  );
  return { name: process.name, minor, context, isSilo, call, send, impatient, receive, close: () => process.end() };
}

/** Building and fetching do. */
function mayTakeTime<N extends CommandName>(name: N, request: RequestFor<N>): boolean {
  switch (name) {
    case "queryPathInfos":
    case "queryClosure":
      return false;
    case "queryValidPaths":
      return (request as RequestFor<"queryValidPaths">).substitute;
    default:
      return true;
  }
}
