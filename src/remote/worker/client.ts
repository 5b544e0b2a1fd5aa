/**
 * A conversation in the worker protocol, from the client's side, with a daemon behind ssh (`nix-daemon --stdio`). Requests are sent at once and
 * answered in order.
 */
import { type ByteString, toText } from "../../formats/byte-string.ts";
import { run } from "../../formats/codec.ts";
import type { StoreDir } from "../../formats/store-path.ts";
import { WireWriter } from "../../formats/wire.ts";
import { framesEnd, encodeFrameHeader } from "../../formats/worker-protocol/framed.ts";
import { greetServer, type PeerTrust } from "../../formats/worker-protocol/handshake.ts";
import { readMessage } from "../../formats/worker-protocol/messages.ts";
import type { Operation } from "../../formats/worker-protocol/operations.ts";
import type { WireContext } from "../../formats/worker-protocol/wire-type.ts";
import { SiloError } from "../../error.ts";
import { coalescingWriter } from "../coalescing-writer.ts";
import type { RemoteProcess, RemoteReader } from "../remote-process.ts";
import { type Timeouts, withGreetingTimeout } from "../greeting-timeout.ts";
import { impatientReader } from "../impatient-reader.ts";

export interface WorkerClient {
  readonly name: string;
  readonly context: WireContext;
  readonly trust: PeerTrust;
  /** @throws (rejects) RemoteFailure when the daemon says that it failed */
  call<Request, Reply>(operation: Operation<Request, Reply>, request: Request, transfer?: Transfer): Promise<Reply>;
  close(): void;
}

export interface Transfer {
  /** Data behind the request, in frames. */
  readonly upload?: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** Reads what follows the reply. */
  readonly download?: (reader: RemoteReader) => Promise<void>;
  /** Has the daemon nothing to do for it that takes time? Then silence is a failure. */
  readonly answer?: "prompt";
  /** Told of lines that builders print. */
  readonly onLog?: (line: ByteString) => void;
}

/** The daemon at the other end says that something failed; the conversation can go on. */
export class RemoteFailure extends SiloError {
  readonly code = "remote-failure";
  override readonly exitStatus: number;
  constructor(
    readonly remote: string,
    readonly said: string,
    exitStatus: number | undefined,
  ) {
    super(`'${remote}' says: ${said}`);
    this.exitStatus = exitStatus ?? 1;
  }
}

/** A result of an activity that is a line of a builder's log. */
const buildLogLine = 101;

export async function openWorkerClient(
  process: RemoteProcess,
  storeDir: StoreDir,
  timeouts: Timeouts,
): Promise<WorkerClient> {
  const { name, reader } = process;
  const write = coalescingWriter(process);
  const hello = await withGreetingTimeout(process, timeouts.greetingMs, () =>
    run(
      greetServer((bytes) => void process.write(bytes)?.catch(() => {})),
      reader,
    ),
  );
  const { minor, features, trust } = hello;
  const context: WireContext = { storeDir, minor, features };
  const impatient = impatientReader(process, timeouts.stalledMs);
  let failure: unknown;
  let answers: Promise<unknown> = Promise.resolve();
  let sending: Promise<unknown> = Promise.resolve();

  /** Up to the end of what the daemon says about one request. @throws RemoteFailure */
  async function listen(from: RemoteReader, onLog?: (line: ByteString) => void): Promise<void> {
    for (;;) {
      const message = await run(readMessage(context), from);
      switch (message.kind) {
        case "last":
          return;
        case "error": {
          const said = toText(message.failure.message)
            .replace(/\x1b\[[0-9;]*m/g, "")
            .replace(/^error:\s*/, "");
          throw new RemoteFailure(name, said, message.failure.exitStatus);
        }
        case "next":
          onLog?.(message.text);
          break;
        case "result": {
          const [line] = message.fields;
          if (message.type === buildLogLine && typeof line === "string") onLog?.(`${line}\n` as ByteString);
          break;
        }
      }
    }
  }

  /** In order; after a failure that is not the daemon's nothing can be understood any more. */
  function inTurn<T>(body: () => Promise<T>): Promise<T> {
    const answer = answers.then(async () => {
      if (failure !== undefined) throw failure;
      try {
        return await body();
      } catch (error) {
        if (!(error instanceof RemoteFailure)) failure ??= error;
        throw error;
      }
    });
    answers = answer.catch(() => {});
    return answer;
  }

  function send(body: () => Promise<void>): Promise<void> {
    const sent = sending.then(async () => {
      if (failure !== undefined) throw failure;
      await body();
    });
    sending = sent.catch((error) => {
      failure ??= error;
    });
    return sent;
  }

  await inTurn(() => listen(impatient)); // the store over there could be opened

  return {
    name,
    context,
    trust,
    call(operation, request, { upload, download, answer, onLog } = {}) {
      const from = answer === "prompt" ? impatient : reader;
      let stopped = false;
      const sent = send(async () => {
        const writer = new WireWriter().u64(operation.code);
        operation.request.write(writer, request, context);
        await write(writer.take());
        if (upload === undefined) return;
        for await (const chunk of upload()) {
          if (stopped) break;
          if (chunk.length === 0) continue;
          await write(encodeFrameHeader(chunk.length));
          await write(chunk);
        }
        await write(framesEnd);
      });
      // The daemon would wait for the rest of what cannot be sent.
      sent.catch(() => process.kill());
      return inTurn(async () => {
        try {
          await listen(from, onLog);
        } catch (error) {
          stopped = true;
          await sent;
          throw error;
        }
        await sent;
        const reply = await run(operation.reply.read(context, "reply"), from);
        await download?.(from);
        return reply;
      });
    },
    close: () => process.end(),
  };
}
