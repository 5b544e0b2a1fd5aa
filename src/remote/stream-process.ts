/**
 * A {@link RemoteProcess} out of Node streams: bytes that have arrived wait in a queue of bounded size, behind which the stream is paused; the last of
 * standard error is kept for the error that may follow.
 */
import type { Readable, Writable } from "node:stream";
import { decodeBytes } from "../formats/byte-string.ts";
import { type RemoteExit, type RemoteProcess, remoteEnded } from "./remote-process.ts";

export interface ProcessStreams {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when the program has ended and its streams are at their ends. */
  readonly ended: Promise<Omit<RemoteExit, "stderr">>;
  kill(): void;
}

/** The queue is refilled below, and the stream paused above this many bytes. */
const queueSize = 1024 * 1024;
/** Bytes of standard error that are kept. */
const keptStderr = 16 * 1024;

/** @param onStderr told of what the program writes to its standard error; the chunk is the listener's */
export function streamProcess(
  name: string,
  streams: ProcessStreams,
  onStderr: (chunk: Uint8Array) => void = () => {},
): RemoteProcess {
  const { stdin, stdout, stderr } = streams;
  let queue: Buffer[] = [];
  let head = 0;
  /** Bytes in the queue, from `offset` in its first chunk on. */
  let available = 0;
  let offset = 0;
  let ended = false;
  let handedOut = 0;
  let wake: (() => void) | undefined;
  let said = "";
  /** Those who wait to write more; several may. */
  let waitingForDrain: (() => void)[] = [];
  let isOver = false;

  const notify = () => {
    const waiting = wake;
    wake = undefined;
    waiting?.();
  };
  stdout.on("data", (chunk: Buffer) => {
    queue.push(chunk);
    available += chunk.length;
    if (available > queueSize) stdout.pause();
    notify();
  });
  const finish = () => {
    ended = true;
    notify();
  };
  stdout.on("end", finish);
  stdout.on("close", finish);
  stderr.on("data", (chunk: Buffer) => {
    said = (said + decodeBytes(chunk)).slice(-keptStderr);
    onStderr(chunk);
  });
  // An error of a stream shows as its end, and `ended` says why.
  const ignore = () => {};
  for (const stream of [stdin, stdout, stderr]) stream.on("error", ignore);
  const notifyWriters = () => {
    const waiting = waitingForDrain;
    waitingForDrain = [];
    for (const resolve of waiting) resolve();
  };
  stdin.on("drain", notifyWriters);

  const exited = streams.ended.then((exit) => {
    isOver = true;
    finish();
    notifyWriters();
    return { ...exit, stderr: said };
  });
  const process: RemoteProcess = {
    name,
    exited,
    kill: () => streams.kill(),
    end: () => void stdin.end(),
    write(bytes) {
      if (isOver) return failWrite();
      if (stdin.write(bytes)) return undefined;
      return waitForDrain();
    },
    reader: {
      get offset() {
        return handedOut;
      },
      take(n) {
        const bytes = tryTake(n);
        return bytes ?? takeLater(n);
      },
      takeSome(n) {
        if (available > 0) return some(n);
        return someLater(n);
      },
      atEnd() {
        return available > 0 ? false : ended ? true : waitForEnd();
      },
    },
  };
  return process;

  async function waitForDrain(): Promise<void> {
    await new Promise<void>((resolve) => waitingForDrain.push(resolve));
    if (isOver) return failWrite();
  }

  async function failWrite(): Promise<never> {
    throw await remoteEnded(process);
  }

  function some(n: number): Uint8Array {
    const first = queue[head]!;
    const size = Math.min(n, first.length - offset);
    const bytes = first.subarray(offset, offset + size);
    advance(size);
    return bytes;
  }

  /** Passes over bytes of the first chunk. */
  function advance(size: number): void {
    offset += size;
    available -= size;
    handedOut += size;
    if (offset === queue[head]!.length) {
      offset = 0;
      head++;
      if (head === queue.length) {
        queue = [];
        head = 0;
      } else if (head > 64) {
        queue = queue.slice(head);
        head = 0;
      }
    }
    if (available < queueSize / 2 && stdout.isPaused()) stdout.resume();
  }

  function tryTake(n: number): Uint8Array | undefined {
    if (available < n) return undefined;
    const first = queue[head]!;
    if (first.length - offset >= n) return some(n);
    const whole = Buffer.allocUnsafe(n);
    for (let length = 0; length < n; ) {
      const part = some(n - length);
      whole.set(part, length);
      length += part.length;
    }
    return whole;
  }

  /** Also more than the queue holds: memory is taken as bytes arrive. */
  async function takeLater(n: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let length = 0;
    while (length < n) {
      while (available === 0) await more();
      const part = some(n - length);
      parts.push(part);
      length += part.length;
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, n);
  }

  async function someLater(n: number): Promise<Uint8Array> {
    while (available === 0) await more();
    return some(n);
  }

  async function waitForEnd(): Promise<boolean> {
    while (available === 0 && !ended) await new Promise<void>((resolve) => (wake = resolve));
    return available === 0;
  }

  async function more(): Promise<void> {
    if (!ended) await new Promise<void>((resolve) => (wake = resolve));
    if (ended && available === 0) throw await remoteEnded(process);
  }
}
