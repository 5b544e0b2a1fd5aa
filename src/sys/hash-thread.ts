/**
 * A second thread that hashes while this one reads and writes: half the time of adding or checking a large file is its
 * hash. Bytes go through a ring of slots in shared memory. The thread is started by its first use, serves one hash at a
 * time, and waits for the next one until the process ends.
 */
import { createHash } from "../node-crypto.ts";

/** One hash that is under way. Not used again after `finish`. */
export interface ThreadHash {
  /** Returns when the bytes have been copied. */
  update(bytes: Uint8Array): void;
  finish(): Uint8Array;
}

const slotSize = 256 * 1024;
const slotCount = 16;

/** Words of the control block. Slots are counted from 0 up, and lie at their number modulo `slotCount`. */
const word = {
  /** Slots that are full. Written here. */
  filled: 0,
  /** Slots that are hashed. Written by the thread, as all below. */
  emptied: 1,
  /** 0 while it starts, then 1, or 2 when this side had no patience. */
  state: 2,
  /** Digests that are ready. */
  finished: 3,
  /** How many slots have to be hashed before this side wants to be woken. Written here. */
  awaited: 4,
  /** Bytes in each slot; `endOfHash` in the last one. */
  lengths: 5,
} as const;
const digestOffset = 4 * (word.lengths + slotCount);
const maxDigest = 64;

const starting = 0;
const running = 1;
const abandoned = 2;
const endOfHash = -1;

/** Milliseconds to wait for a thread to start, and for one to go on. */
const startPatienceMs = 2000;
const hashPatienceMs = 60_000;

interface SharedRing {
  readonly control: SharedArrayBuffer;
  readonly slots: SharedArrayBuffer;
  readonly algorithm: Uint8Array;
}

let ring: SharedRing | undefined;
let isBusy = false;
/** Slots filled in the life of the thread, and digests asked for. */
let filled = 0;
let asked = 0;

/** Is a thread running already, so that using it costs nothing? */
export function hasHashThread(): boolean {
  return ring !== undefined;
}

/** Undefined when the thread is taken, or would have no processor of its own. */
export function hashInThread(algorithm: string): ThreadHash | undefined {
  if (isBusy || navigator.hardwareConcurrency < 2) return undefined;
  ring ??= startThread();
  isBusy = true;
  return beginHash(ring, algorithm);
}

function startThread(): SharedRing {
  const { Worker } = process.getBuiltinModule("node:worker_threads");
  const shared: SharedRing = {
    control: new SharedArrayBuffer(digestOffset + maxDigest),
    slots: new SharedArrayBuffer(slotSize * slotCount),
    algorithm: new Uint8Array(new SharedArrayBuffer(16)),
  };
  filled = asked = 0;
  const layout = { ...word, slotSize, slotCount, digestOffset, starting, running, endOfHash };
  const worker = new Worker(`(${hashForEver.toString()})(process.getBuiltinModule)`, {
    eval: true,
    workerData: { shared, layout },
  });
  worker.unref();
  return shared;
}

function beginHash(shared: SharedRing, algorithm: string): ThreadHash {
  const control = new Int32Array(shared.control);
  const slots = new Uint8Array(shared.slots);
  const first = filled;
  let length = 0;
  shared.algorithm.fill(0).set(Buffer.from(algorithm, "latin1"));
  /** What takes the thread's place when that does not start. */
  let fallback: ReturnType<typeof createHash> | undefined;

  const slotAt = (slot: number) => (slot % slotCount) * slotSize;

  /** Returns when the slot to be filled is empty. A full ring is left alone until half of it is hashed: waking costs. */
  function makeRoom(): void {
    let target = filled - slotCount + 1;
    for (;;) {
      const emptied = Atomics.load(control, word.emptied);
      if (emptied >= target) return;
      target = filled - slotCount / 2;
      Atomics.store(control, word.awaited, target);
      waitFor(word.emptied, emptied);
      if (fallback !== undefined) return;
    }
  }

  function waitFor(index: number, value: number): void {
    const isStarting = Atomics.load(control, word.state) === starting;
    const patience = isStarting ? startPatienceMs : hashPatienceMs;
    if (Atomics.wait(control, index, value, patience) !== "timed-out") return;
    if (isStarting && Atomics.compareExchange(control, word.state, starting, abandoned) === starting) takeOver();
    else if (!isStarting) throw new Error("the hashing thread has stopped");
  }

  /** The thread has not begun: everything so far is still in the ring. */
  function takeOver(): void {
    fallback = createHash(algorithm);
    for (let slot = first; slot < filled; slot++) {
      const size = Atomics.load(control, word.lengths + (slot % slotCount));
      if (size > 0) fallback.update(slots.subarray(slotAt(slot), slotAt(slot) + size));
    }
    fallback.update(slots.subarray(slotAt(filled), slotAt(filled) + length));
    ring = undefined;
  }

  function publish(size: number): void {
    Atomics.store(control, word.lengths + (filled % slotCount), size);
    filled++;
    length = 0;
    Atomics.store(control, word.filled, filled);
    Atomics.notify(control, word.filled);
  }

  return {
    update(bytes) {
      for (let at = 0; at < bytes.length; ) {
        if (fallback === undefined && length === 0) makeRoom();
        if (fallback !== undefined) {
          fallback.update(bytes.subarray(at));
          return;
        }
        const count = Math.min(bytes.length - at, slotSize - length);
        slots.set(bytes.subarray(at, at + count), slotAt(filled) + length);
        length += count;
        at += count;
        if (length === slotSize) publish(slotSize);
      }
    },
    finish() {
      isBusy = false;
      if (fallback === undefined && length > 0) publish(length);
      if (fallback === undefined) makeRoom();
      if (fallback === undefined) {
        publish(endOfHash);
        asked++;
        while (fallback === undefined && Atomics.load(control, word.finished) !== asked) {
          waitFor(word.finished, asked - 1);
        }
      }
      if (fallback !== undefined) return new Uint8Array(fallback.digest());
      const size = Atomics.load(control, word.lengths + ((filled - 1) % slotCount));
      return new Uint8Array(shared.control.slice(digestOffset, digestOffset + size));
    },
  };
}

interface Layout {
  readonly [name: string]: number;
}

/**
 * The thread's program. It is handed over as text, so that the executable needs no second file: it may use nothing but
 * its argument and what is in the worker's data.
 */
function hashForEver(getBuiltinModule: typeof process.getBuiltinModule): void {
  const { shared, layout } = getBuiltinModule("node:worker_threads").workerData as {
    readonly shared: SharedRing;
    readonly layout: Layout;
  };
  const crypto = getBuiltinModule("node:crypto");
  const control = new Int32Array(shared.control);
  const slots = new Uint8Array(shared.slots);
  const digestBytes = new Uint8Array(shared.control, layout["digestOffset"]);
  if (Atomics.compareExchange(control, layout["state"]!, layout["starting"]!, layout["running"]!) !== 0) return;
  let hasher: ReturnType<typeof crypto.createHash> | undefined;
  for (let slot = 0; ; slot++) {
    while (Atomics.load(control, layout["filled"]!) === slot) Atomics.wait(control, layout["filled"]!, slot);
    const index = slot % layout["slotCount"]!;
    const length = Atomics.load(control, layout["lengths"]! + index);
    hasher ??= crypto.createHash(String.fromCharCode(...shared.algorithm.filter((byte) => byte !== 0)));
    if (length === layout["endOfHash"]) {
      const digest = hasher.digest();
      hasher = undefined;
      digestBytes.set(digest);
      Atomics.store(control, layout["lengths"]! + index, digest.length);
      Atomics.add(control, layout["finished"]!, 1);
      Atomics.notify(control, layout["finished"]!);
    } else {
      const start = index * layout["slotSize"]!;
      hasher.update(slots.subarray(start, start + length));
    }
    Atomics.store(control, layout["emptied"]!, slot + 1);
    if (slot + 1 >= Atomics.load(control, layout["awaited"]!)) Atomics.notify(control, layout["emptied"]!);
  }
}
