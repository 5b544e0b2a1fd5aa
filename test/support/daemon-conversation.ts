/** Conversations with the daemon's protocol loop in this process: all that the client says at once, and what it gets for it. */
import { bytesReader } from "../../src/formats/bytes-reader.ts";
import { runSync } from "../../src/formats/codec.ts";
import type { Trust } from "../../src/formats/settings/client-settings.ts";
import { WireWriter } from "../../src/formats/wire.ts";
import { encodeFrameHeader, framesEnd } from "../../src/formats/worker-protocol/framed.ts";
import { clientMagic, greetServer } from "../../src/formats/worker-protocol/handshake.ts";
import { type Message, readMessage } from "../../src/formats/worker-protocol/messages.ts";
import type { Operation } from "../../src/formats/worker-protocol/operations.ts";
import { knownFeatures, wireVersion } from "../../src/formats/worker-protocol/version.ts";
import type { WireContext } from "../../src/formats/worker-protocol/wire-type.ts";
import type { DaemonServices } from "../../src/daemon/server/session.ts";
import { serveConnection } from "../../src/daemon/server/serve-connection.ts";
import type { LocalStore } from "../../src/store/local-store.ts";
import type { StoreFixture } from "./store-fixture.ts";

export interface TestPeer {
  readonly minor?: number;
  readonly trust?: Trust;
  readonly uid?: number;
  /** Made when they are first needed, for the store with the client's settings. */
  readonly services?: (store: LocalStore) => Partial<DaemonServices>;
  /** Used for all connections, in the place of one for each. */
  readonly store?: LocalStore;
  readonly settings?: readonly (readonly [name: string, value: string])[];
}

/** A request, and the data behind it as it is on the wire. */
export interface TestRequest {
  readonly bytes: Uint8Array;
  /** Reads the reply of a request that has not failed. */
  readReply(input: ReturnType<typeof bytesReader>, context: WireContext): unknown;
}

export type Answer =
  | { readonly kind: "reply"; readonly value: unknown; readonly messages: readonly Message[] }
  | {
      readonly kind: "error";
      readonly message: string;
      readonly exitStatus: number | undefined;
      readonly messages: readonly Message[];
    }
  | { readonly kind: "closed" };

export interface Conversation {
  readonly answers: readonly Answer[];
  /** Of the administrator. */
  readonly log: readonly string[];
  /** Bytes behind the last answer. */
  readonly rest: Uint8Array;
}

export function request<Request, Reply>(
  { code, request: type, reply }: Operation<Request, Reply>,
  value: Request,
  context: WireContext,
  data: Uint8Array = new Uint8Array(0),
): TestRequest {
  const writer = new WireWriter().u64(code);
  type.write(writer, value, context);
  return {
    bytes: Buffer.concat([writer.take(), data]),
    readReply: (input, agreed) => runSync(reply.read(agreed, "reply"), input),
  };
}

export function framed(data: Uint8Array): Uint8Array {
  return Buffer.concat(data.length === 0 ? [framesEnd] : [encodeFrameHeader(data.length), data, framesEnd]);
}

/** What a client of this version says first. */
export function greeting(minor: number): Uint8Array {
  const writer = new WireWriter().u64(clientMagic).u64(wireVersion(minor));
  if (minor >= 38) writer.strings(knownFeatures);
  if (minor >= 14) writer.u64(0);
  if (minor >= 11) writer.u64(0);
  return writer.take();
}

export function contextOf(
  fixture: { readonly directories: Pick<StoreFixture["directories"], "storeDir"> },
  minor: number,
): WireContext {
  return {
    storeDir: fixture.directories.storeDir,
    minor: Math.min(minor, 38),
    features: new Set(minor >= 38 ? knownFeatures : []),
  };
}

/** Feeds raw bytes to the server; what it has written, and its log. It resolves or this rejects. */
export async function serveBytes(
  fixture: StoreFixture,
  bytes: Uint8Array,
  peer: TestPeer = {},
): Promise<{ readonly output: Uint8Array; readonly log: readonly string[]; readonly unread: number }> {
  const input = bytesReader(bytes, "the client");
  const output: Uint8Array[] = [];
  const log: string[] = [];
  await serveConnection(
    {
      input: { take: input.take, takeSome: input.takeSome, atEnd: () => input.left() === 0 },
      write: (part) => void output.push(Uint8Array.from(part)),
      isGone: () => false,
      peer: { trust: peer.trust ?? "trusted", uid: peer.uid ?? 0 },
    },
    {
      storeDir: (peer.store ?? fixture.directories).storeDir,
      openStore(reporter) {
        const { store } = peer;
        return store === undefined ? { ...fixture.open(peer.settings), reporter } : { ...store, reporter, close() {} };
      },
      services: (store) => ({ ...noServices, ...peer.services?.(store) }),
      log: (line) => void log.push(line),
    },
  );
  return { output: Buffer.concat(output), log, unread: input.left() };
}

/** Greets, makes the requests, and reads the answers. */
export async function converse(
  fixture: StoreFixture,
  peer: TestPeer,
  requests: (context: WireContext) => readonly TestRequest[],
): Promise<Conversation> {
  const minor = peer.minor ?? 34;
  const context = contextOf(fixture, minor);
  const made = requests(context);
  const said = Buffer.concat([greeting(minor), ...made.map(({ bytes }) => bytes)]);
  const { output, log } = await serveBytes(fixture, said, peer);
  const input = bytesReader(output, "the server");
  const agreed = {
    ...runSync(
      greetServer(() => {}, minor),
      input,
    ),
    storeDir: context.storeDir,
  };
  const answers: Answer[] = [readAnswer(input, agreed, () => undefined)];
  for (const each of made) answers.push(readAnswer(input, agreed, () => each.readReply(input, agreed)));
  return { answers: answers.slice(1), log, rest: Uint8Array.from(output.subarray(output.length - input.left())) };
}

function readAnswer(input: ReturnType<typeof bytesReader>, context: WireContext, readReply: () => unknown): Answer {
  const messages: Message[] = [];
  if (input.left() === 0) return { kind: "closed" };
  for (;;) {
    const message = runSync(readMessage(context), input);
    if (message.kind === "last") return { kind: "reply", value: readReply(), messages };
    if (message.kind === "error") {
      const { message: text, exitStatus } = message.failure;
      return { kind: "error", message: text, exitStatus, messages };
    }
    messages.push(message);
  }
}

const unavailable = (): never => {
  throw new Error("this test has no such service");
};

const noServices: DaemonServices = {
  build: {
    buildPaths: unavailable,
    buildPathsWithResults: unavailable,
    buildDerivation: unavailable,
    ensurePath: unavailable,
    repairPath: unavailable,
    queryMissing: unavailable,
    querySubstitutablePaths: async () => new Set(),
    querySubstitutablePathInfos: async () => new Map(),
  },
  collect: { findRoots: unavailable, collect: unavailable },
  itemSigner: unavailable,
  itemVerifier: () => undefined,
  addBuildLog: unavailable,
  close() {},
};
