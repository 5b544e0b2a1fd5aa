/**
 * What the server tells its client besides replies. Messages are held back until the work on a request has begun, since before that the client
 * is not listening for them.
 */
import { SiloError } from "../../error.ts";
import { WireWriter } from "../../formats/wire.ts";
import { type Message, writeMessage } from "../../formats/worker-protocol/messages.ts";
import type { WireContext, WireType } from "../../formats/worker-protocol/wire-type.ts";
import { isSystemError } from "../../sys/system-error.ts";

/** The other end has gone: nobody is left to work for. */
export class ClientGone extends SiloError {
  readonly code = "client-gone";
  constructor() {
    super("the client has disconnected");
  }
}

export interface ClientChannel {
  /** @throws ClientGone, unless {@link onGone} says otherwise */
  message(message: Message): void;
  /** Messages go out from now on. */
  beginWork(): void;
  /** The last message, and the reply. @throws ClientGone */
  endWork<T>(reply: WireType<T>, value: T): void;
  /** Fails the request. Ends the work. */
  fail(message: Message & { kind: "error" }): void;
  /** Bytes of a reply. @throws ClientGone */
  send(bytes: Uint8Array): void;
  /** Who is told when a message cannot be delivered, in the place of an exception; undefined for the exception. */
  onGone: (() => void) | undefined;
}

/** @param write blocks until all bytes are sent; throws SystemError */
export function clientChannel(context: WireContext, write: (bytes: Uint8Array) => void): ClientChannel {
  let held: Message[] | undefined = [];
  let isGone = false;

  function send(bytes: Uint8Array): void {
    if (isGone) throw new ClientGone();
    try {
      write(bytes);
    } catch (error) {
      if (!isSystemError(error, "EPIPE", "ECONNRESET", "ETIMEDOUT")) throw error;
      isGone = true;
      throw new ClientGone();
    }
  }

  function sendMessages(messages: readonly Message[]): void {
    const writer = new WireWriter();
    for (const message of messages) writeMessage(writer, message, context);
    if (messages.length > 0) send(writer.take());
  }

  const channel: ClientChannel = {
    onGone: undefined,
    message(message) {
      if (held !== undefined) {
        held.push(message);
        return;
      }
      try {
        sendMessages([message]);
      } catch (error) {
        if (!(error instanceof ClientGone) || channel.onGone === undefined) throw error;
        channel.onGone();
      }
    },
    beginWork() {
      const messages = held ?? [];
      held = undefined;
      sendMessages(messages);
    },
    endWork(reply, value) {
      const writer = new WireWriter();
      for (const message of held ?? []) writeMessage(writer, message, context);
      writeMessage(writer, { kind: "last" }, context);
      reply.write(writer, value, context);
      held = [];
      send(writer.take());
    },
    fail(message) {
      const messages = [...(held ?? []), message];
      held = [];
      sendMessages(messages);
    },
    send,
  };
  return channel;
}
