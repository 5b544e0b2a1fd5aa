import { RemoteEnded, type RemoteProcess } from "./remote-process.ts";

/** A program that starts and says nothing is not worth waiting for. @throws (rejects) RemoteEnded */
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
    if (!timedOut) throw error;
    throw new RemoteEnded(process.name, undefined, `no greeting within ${timeoutMs / 1000} seconds`, error);
  } finally {
    clearTimeout(timer);
  }
}
