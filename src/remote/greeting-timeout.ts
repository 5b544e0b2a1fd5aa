/** A program that starts and says nothing is not worth waiting for. */
import { SiloError } from "../error.ts";
import type { RemoteProcess } from "./remote-process.ts";

/** How long the other end may take. Milliseconds. */
export interface Timeouts {
  /** Until it greets. */
  readonly greetingMs: number;
  /** Until something comes where nothing keeps it; 0 for no limit. */
  readonly stalledMs: number;
}

export class NoGreeting extends SiloError {
  readonly code = "no-greeting";
  constructor(
    readonly remote: string,
    readonly timeoutMs: number,
    cause: unknown,
  ) {
    super(`'${remote}' does not answer: no greeting within ${timeoutMs / 1000} seconds`, { cause });
  }
}

/** Runs `body`, which greets; ends the program when it takes too long. @throws (rejects) NoGreeting */
export async function withGreetingTimeout<T>(
  process: RemoteProcess,
  timeoutMs: number,
  body: () => Promise<T>,
): Promise<T> {
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    process.kill();
  }, timeoutMs);
  try {
    return await body();
  } catch (error) {
    throw timedOut ? new NoGreeting(process.name, timeoutMs, error) : error;
  } finally {
    clearTimeout(timer);
  }
}
