/** Build slots: how many builds and substitutions run at once, and waiting for one, first come first served. */

export class BuildSlots {
  private running = 0;
  private queue: Waiter[] = [];
  /** What comes before it in the queue is done with. */
  private head = 0;

  get taken(): number {
    return this.running;
  }

  /** @param limit how many may run, this one included */
  tryTake(limit: number): boolean {
    if (this.running >= limit) return false;
    this.running++;
    return true;
  }

  /** Resolves with the slot taken. @throws the signal's reason */
  async take(limit: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.tryTake(limit)) return;
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = { limit, resolve };
      this.queue.push(waiter);
      onAbort(signal, () => {
        if (waiter.resolve === undefined) return;
        waiter.resolve = undefined;
        reject(signal.reason);
      });
    });
  }

  release(): void {
    this.running--;
    // Limits differ between builds (max-jobs) and substitutions (at least one) only when max-jobs is 0.
    for (let i = this.head; i < this.queue.length; i++) {
      const waiter = this.queue[i]!;
      const waiting = waiter.resolve;
      if (waiting === undefined) {
        if (i === this.head) this.head++;
        continue;
      }
      if (!this.tryTake(waiter.limit)) break;
      waiter.resolve = undefined;
      if (i === this.head) this.head++;
      waiting();
    }
    if (this.head > 1024 && this.head * 2 > this.queue.length) {
      this.queue = this.queue.slice(this.head);
      this.head = 0;
    }
  }
}

interface Waiter {
  readonly limit: number;
  /** Undefined when it got its slot or gave up. */
  resolve: (() => void) | undefined;
}

/** A signal has one listener per waiter for as long as the run lasts; they are kept in one list instead. */
const abortLists = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls `action` when the signal aborts; returns how to take that back. */
export function onAbort(signal: AbortSignal, action: () => void): () => void {
  let actions = abortLists.get(signal);
  if (actions === undefined) {
    const list = new Set<() => void>();
    signal.addEventListener("abort", () => {
      for (const each of list) each();
      list.clear();
    });
    abortLists.set(signal, list);
    actions = list;
  }
  actions.add(action);
  const list = actions;
  return () => void list.delete(action);
}

/** Wakes those who wait for something that this process may give up at any time: a lock, a machine, a build user. */
export class Changes {
  private waiting = new Set<() => void>();

  announce(): void {
    const woken = this.waiting;
    this.waiting = new Set();
    for (const wake of woken) wake();
  }

  /** Resolves with the next announcement, or after `pollMs`. @throws the signal's reason */
  async next(pollMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const settle = (then: () => void) => {
        clearTimeout(timer);
        this.waiting.delete(wake);
        forget();
        then();
      };
      const wake = () => settle(resolve);
      const forget = onAbort(signal, () => settle(() => reject(signal.reason)));
      const timer = setTimeout(wake, pollMs);
      this.waiting.add(wake);
    });
  }
}
