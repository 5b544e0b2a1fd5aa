/** Collecting in whichever store was opened, and saying what came of it. */
import { UsageError } from "../error.ts";
import type { CollectOptions, CollectService } from "../store/collect-service.ts";
import type { Store } from "../store/store.ts";
import type { Io } from "./io.ts";
import { StoreNotSupported } from "./open-store.ts";

/** @throws StoreNotSupported */
export async function collectorOf(store: Store & { readonly collect?: CollectService }): Promise<CollectService> {
  if (store.local !== undefined) {
    const { collector } = await import("../gc/collector.ts");
    return collector(store.local);
  }
  if (store.collect !== undefined) return store.collect;
  throw new StoreNotSupported("this store cannot collect garbage");
}

/** Deletes, and prints how much; of a failure, too, as Nix does. */
export async function collectAndTell(service: CollectService, options: CollectOptions, io: Io): Promise<void> {
  let [count, bytes] = [0, 0];
  try {
    const { paths, bytesFreed } = await service.collect(options);
    [count, bytes] = [paths.length, bytesFreed];
  } finally {
    io.out(`${count} store paths deleted, ${(bytes / 2 ** 20).toFixed(2)} MiB freed\n`);
  }
}

const units: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** What `--max-freed` takes: bytes, with `K`, `M`, `G` or `T` powers of 1024; nothing below 0. @throws UsageError */
export function parseMaxFreed(text: string): number {
  const match = /^(-?[0-9]{1,18})([A-Za-z]?)$/.exec(text);
  if (match === null) throw new UsageError(`'${text}' is not an integer`);
  const [, digits, unit] = match;
  const factor = unit === "" ? 1 : units[unit!.toUpperCase()];
  if (factor === undefined) throw new UsageError(`invalid unit specifier '${unit!.toUpperCase()}'`);
  return Math.max(0, Number(digits) * factor);
}
