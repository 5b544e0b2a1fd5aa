/** Conversations between Nix's client and daemon as they went over the socket, and what was said in them. */
import { bytesReader } from "../../src/formats/bytes-reader.ts";
import { runSync, type SyncReader } from "../../src/formats/codec.ts";
import { readNar } from "../../src/formats/nar/read-nar.ts";
import type { NarVisitor } from "../../src/formats/nar/visitor.ts";
import { defaultStoreDir } from "../../src/formats/store-path.ts";
import { tee } from "../../src/formats/tee.ts";
import { readBytes, readU64 } from "../../src/formats/wire.ts";
import { framedReader } from "../../src/formats/worker-protocol/framed.ts";
import {
  finishGreeting,
  greetClient,
  greetServer,
  type ServerOffer,
} from "../../src/formats/worker-protocol/handshake.ts";
import { type Message, readMessage } from "../../src/formats/worker-protocol/messages.ts";
import { type Operation, operationName, operations } from "../../src/formats/worker-protocol/operations.ts";
import { newestMinor } from "../../src/formats/worker-protocol/version.ts";
import type { WireContext } from "../../src/formats/worker-protocol/wire-type.ts";

/** A fixture. Both directions are base-64. */
export interface RecordedConversation {
  /** They were held one after the other, on one store. */
  readonly position: number;
  readonly about: string;
  /** Of the daemon. */
  readonly nixVersion: string;
  /** What the client says that it speaks. */
  readonly minor: number;
  readonly client: string;
  readonly server: string;
}

export interface Exchange {
  readonly operation: string;
  readonly request: unknown;
  /** What followed the request, or the reply: sizes of uploads, the bytes of NARs. */
  readonly data: string;
  readonly messages: readonly Message[];
  readonly outcome: { readonly reply: unknown } | { readonly error: string };
}

/** Everything that was said. Both directions must be understood to the last byte. */
export function decodeConversation(clientBytes: Uint8Array, serverBytes: Uint8Array): Exchange[] {
  const client = bytesReader(clientBytes, "the client");
  const server = bytesReader(serverBytes, "the server");
  const offer: ServerOffer = { minor: newestMinor, features: [], nixVersion: "", trust: "unknown" };
  const agreement = runSync(
    greetClient(offer, () => {}),
    client,
  );
  runSync(
    finishGreeting(offer, agreement, () => {}),
    client,
  );
  const hello = runSync(
    greetServer(() => {}, agreement.minor),
    server,
  );
  const context: WireContext = { storeDir: defaultStoreDir, minor: hello.minor, features: hello.features };
  const exchanges: Exchange[] = [];
  const opening = readMessages(context, server, client);
  if (opening.end !== "last") throw new Error(`the store could not be opened: ${opening.end}`);
  while (client.left() > 0) exchanges.push(decodeExchange(context, client, server));
  if (server.left() > 0) throw new Error(`${server.left()} bytes of the server are left`);
  return exchanges;
}

function decodeExchange(context: WireContext, client: SyncReader, server: SyncReader): Exchange {
  const name = operationName(Number(runSync(readU64(), client)));
  if (name === undefined) throw new Error("an operation that is not known");
  const operation = operations[name] as Operation<unknown, unknown>;
  const request = runSync(operation.request.read(context, "request"), client);
  const parts: Uint8Array[] = [];
  const keep = (bytes: Uint8Array) => void parts.push(Uint8Array.from(bytes));
  const kind = operation.upload(context);
  if (kind === "nar") runSync(tee(readNar(ignore), keep), client);
  if (kind === "framed") {
    const frames = framedReader(client);
    while (!frames.atEnd()) keep(frames.takeSome(1 << 20));
  }
  const { messages, end, pulled } = readMessages(context, server, client);
  parts.push(...pulled);
  if (end !== "last") return { operation: name, request, data: join(parts), messages, outcome: { error: end.error } };
  const reply = runSync(operation.reply.read(context, "reply"), server);
  if (name === "narFromPath") runSync(tee(readNar(ignore), keep), server);
  return { operation: name, request, data: join(parts), messages, outcome: { reply } };
}

function join(parts: readonly Uint8Array[]): string {
  return Buffer.concat(parts).toString("latin1");
}

function readMessages(context: WireContext, server: SyncReader, client: SyncReader) {
  const messages: Message[] = [];
  const pulled: Uint8Array[] = [];
  for (;;) {
    const message = runSync(readMessage(context), server);
    if (message.kind === "last") return { messages, pulled, end: "last" as const };
    if (message.kind === "error") return { messages, pulled, end: { error: message.failure.message } };
    if (message.kind === "read") pulled.push(runSync(readBytes("data", message.maxBytes), client));
    messages.push(message);
  }
}

const ignore: NarVisitor = {
  directory() {},
  leaveDirectory() {},
  file() {},
  contents() {},
  endFile() {},
  symlink() {},
};
