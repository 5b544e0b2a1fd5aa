/** A program that has greeted and then says nothing, though what it is asked takes no time: its machine hangs, or it does. */
import { SiloError } from "../error.ts";
import type { RemoteProcess, RemoteReader } from "./remote-process.ts";

export class Stalled extends SiloError {
  readonly code = "stalled";
  constructor(
    readonly remote: string,
    readonly timeoutMs: number,
    cause: unknown,
  ) {
    super(`'${remote}' does not answer: nothing came for ${timeoutMs / 1000} seconds`, { cause });
  }
}

/** Reads what the program says, and ends it when a read takes longer. @param timeoutMs 0 for no limit */
export function impatientReader(process: RemoteProcess, timeoutMs: number): RemoteReader {
  const { reader } = process;
  if (timeoutMs === 0) return reader;

  function orEnd<T>(bytes: T | Promise<T>): T | Promise<T> {
    return bytes instanceof Promise ? wait(bytes) : bytes;
  }

  async function wait<T>(bytes: Promise<T>): Promise<T> {
    let hasStalled = false;
    const timer = setTimeout(() => {
      hasStalled = true;
      process.kill();
    }, timeoutMs);
    try {
      return await bytes;
    } catch (error) {
      throw hasStalled ? new Stalled(process.name, timeoutMs, error) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    take: (n) => orEnd(reader.take(n)),
    takeSome: (n) => orEnd(reader.takeSome(n)),
    atEnd: () => orEnd(reader.atEnd()),
    get offset() {
      return reader.offset;
    },
  };
}
