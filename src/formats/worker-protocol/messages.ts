/**
 * What the server says while it works on a request, up to the message that ends it:
 *
 *     next            u64 0x6f6c6d67, string text                                    a line for the user
 *     read            u64 0x64617461, u64 n                                          the client answers with a string of 1 to n bytes
 *     write           u64 0x64617416, string data                                    for the client to write
 *     last            u64 0x616c7473                                                 done, the reply follows
 *     error           u64 0x63787470, error                                          failed, no reply follows
 *     start-activity  u64 0x53545254, u64 id, level, type, string text, fields, u64 parent     1.20
 *     stop-activity   u64 0x53544f50, u64 id                                         1.20
 *     result          u64 0x52534c54, u64 id, type, fields                           1.20
 *
 *     fields = u64 count, {u64 0, u64 value | u64 1, string value}
 *     error  = string message, u64 exit status                                       before 1.26
 *            | string "Error", u64 level, string name, string message, u64 0, u64 n, n * {u64 0, string trace}
 *
 * The newer error has no place for an exit status. Nix writes "Error" as the name and ignores what it reads there, so a status other than 1
 * travels in the name, as `Error 100`: for clients that know.
 */
import { SiloError } from "../../error.ts";
import type { ByteString } from "../byte-string.ts";
import type { Codec } from "../codec.ts";
import { BadWire, readNumber, readString, readU64, WireWriter } from "../wire.ts";
import { maxStringBytes, type WireContext } from "./wire-type.ts";

export interface Failure {
  readonly message: ByteString;
  /** What the client should exit with; undefined where the protocol does not say. */
  readonly exitStatus: number | undefined;
  readonly traces: readonly ByteString[];
}

/** A field of an activity. Numbers are exact up to 2^53. */
export type MessageField = ByteString | number;

export type Message =
  | { readonly kind: "next"; readonly text: ByteString }
  | { readonly kind: "read"; readonly maxBytes: number }
  | { readonly kind: "write"; readonly data: Uint8Array }
  | { readonly kind: "last" }
  | { readonly kind: "error"; readonly failure: Failure }
  | {
      readonly kind: "start-activity";
      readonly id: bigint;
      /** Nix's verbosity, 0 for errors to 7. */
      readonly level: number;
      readonly type: number;
      readonly text: ByteString;
      readonly fields: readonly MessageField[];
      /** 0 for none. */
      readonly parent: bigint;
    }
  | { readonly kind: "stop-activity"; readonly id: bigint }
  | { readonly kind: "result"; readonly id: bigint; readonly type: number; readonly fields: readonly MessageField[] };

export class BadMessage extends SiloError {
  readonly code = "bad-message";
  constructor(readonly tag: bigint) {
    super(`Cannot understand the daemon: expected a message, found 0x${tag.toString(16)}`);
  }
}

const tags = {
  next: 0x6f6c6d67,
  read: 0x64617461,
  write: 0x64617416,
  last: 0x616c7473,
  error: 0x63787470,
  "start-activity": 0x53545254,
  "stop-activity": 0x53544f50,
  result: 0x52534c54,
} as const satisfies Record<Message["kind"], number>;

/** Bytes of one piece of data at most. */
export const maxDataBytes = 64 * 1024 * 1024;
const maxFields = 10_000;
const maxTraces = 10_000;
const maxSmall = 0xffff_ffff;

/** @throws BadMessage, BadWire */
export function* readMessage({ minor }: WireContext): Codec<Message> {
  const tag = yield* readU64();
  switch (Number(tag)) {
    case tags.last:
      return { kind: "last" };
    case tags.next:
      return { kind: "next", text: yield* readString("message", maxStringBytes) };
    case tags.error:
      return { kind: "error", failure: minor >= 26 ? yield* readStructuredFailure() : yield* readPlainFailure(minor) };
    case tags.read:
      return { kind: "read", maxBytes: yield* readNumber("amount of data wanted") };
    case tags.write:
      return { kind: "write", data: Buffer.from(yield* readString("data", maxDataBytes), "latin1") };
    case tags["start-activity"]:
      return {
        kind: "start-activity",
        id: yield* readU64(),
        level: yield* readNumber("level of activity", maxSmall),
        type: yield* readNumber("type of activity", maxSmall),
        text: yield* readString("text of activity", maxStringBytes),
        fields: yield* readFields(),
        parent: yield* readU64(),
      };
    case tags["stop-activity"]:
      return { kind: "stop-activity", id: yield* readU64() };
    case tags.result: {
      const id = yield* readU64();
      const type = yield* readNumber("type of result", maxSmall);
      return { kind: "result", id, type, fields: yield* readFields() };
    }
    default:
      throw new BadMessage(tag);
  }
}

/** Appends the message; what the version has no place for is a mistake of the caller. */
export function writeMessage(writer: WireWriter, message: Message, { minor }: WireContext): void {
  writer.u64(tags[message.kind]);
  switch (message.kind) {
    case "last":
      break;
    case "next":
      writer.string(message.text);
      break;
    case "read":
      writer.u64(message.maxBytes);
      break;
    case "write":
      writer.bytes(message.data);
      break;
    case "error":
      writeFailure(writer, message.failure, minor);
      break;
    case "start-activity":
      writer.u64(message.id).u64(message.level).u64(message.type).string(message.text);
      writeFields(writer, message.fields);
      writer.u64(message.parent);
      break;
    case "stop-activity":
      writer.u64(message.id);
      break;
    case "result":
      writer.u64(message.id).u64(message.type);
      writeFields(writer, message.fields);
      break;
  }
}

export function encodeMessage(message: Message, context: WireContext): Uint8Array {
  const writer = new WireWriter();
  writeMessage(writer, message, context);
  return writer.take();
}

function* readPlainFailure(minor: number): Codec<Failure> {
  const message = yield* readString("error message", maxStringBytes);
  return { message, exitStatus: minor >= 8 ? yield* readNumber("exit status", maxSmall) : undefined, traces: [] };
}

function* readStructuredFailure(): Codec<Failure> {
  const type = yield* readString("type of error", 1000);
  if (type !== "Error") throw new BadWire("error", `expected the type "Error", found ${JSON.stringify(type)}`);
  yield* readNumber("level of error", maxSmall);
  const name = yield* readString("name of error", maxStringBytes);
  const message = yield* readString("error message", maxStringBytes);
  yield* readNoPosition();
  const count = yield* readNumber("number of traces", maxTraces);
  const traces: ByteString[] = [];
  for (let i = 0; i < count; i++) {
    yield* readNoPosition();
    traces.push(yield* readString("trace", maxStringBytes));
  }
  const [, status] = /^Error ([0-9]{1,3})$/.exec(name) ?? [];
  return { message, exitStatus: status === undefined ? undefined : Number(status), traces };
}

function* readNoPosition(): Codec<void> {
  const position = yield* readU64();
  if (position !== 0n) throw new BadWire("position of error", `expected 0 for none, found ${position}`);
}

function writeFailure(writer: WireWriter, { message, exitStatus = 1, traces }: Failure, minor: number): void {
  if (minor < 26) {
    writer.string(message);
    if (minor >= 8) writer.u64(exitStatus);
    return;
  }
  const name = exitStatus === 1 ? "Error" : `Error ${exitStatus}`;
  writer.string("Error").u64(0).string(name).string(message).u64(0).u64(traces.length);
  for (const trace of traces) writer.u64(0).string(trace);
}

function* readFields(): Codec<MessageField[]> {
  const count = yield* readNumber("number of fields", maxFields);
  const fields: MessageField[] = [];
  for (let i = 0; i < count; i++) {
    const kind = yield* readU64();
    if (kind === 0n) fields.push(Number(yield* readU64()));
    else if (kind === 1n) fields.push(yield* readString("field", maxStringBytes));
    else throw new BadWire("field", `expected 0 for a number or 1 for a string, found ${kind}`);
  }
  return fields;
}

function writeFields(writer: WireWriter, fields: readonly MessageField[]): void {
  writer.u64(fields.length);
  for (const field of fields) {
    if (typeof field === "string") writer.u64(1).string(field);
    else writer.u64(0).u64(field);
  }
}
