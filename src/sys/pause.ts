const neverNotified = new Int32Array(new SharedArrayBuffer(4));

/** Blocks this thread: for retries where the kernel offers nothing to wait on. */
export function pause(milliseconds: number): void {
  Atomics.wait(neverNotified, 0, 0, milliseconds);
}
