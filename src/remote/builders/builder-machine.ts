/**
 * One machine to build on, for all builds of this process: one connection, conversations that are used again, slots, what
 * is on its way there, and whether it is set aside after a failure.
 */
import type { Machine } from "../../formats/machines.ts";
import type { StoreDir } from "../../formats/store-path.ts";
import { type ConnectionOptions, type MachineConnections, machineConnections } from "../machine-connections.ts";
import { openConversation } from "../open-remote-store.ts";
import type { RemoteStore } from "../remote-store.ts";
import { type RemoteStoreAddress, parseStoreUri } from "../store-uri.ts";
import { type MachineSlots, machineSlots } from "./slots.ts";
import type { PendingUploads } from "./uploads.ts";

export interface BuilderMachine {
  readonly machine: Machine;
  readonly slots: MachineSlots;
  readonly pending: PendingUploads;
  /** Builds of this process that were accepted and have not got as far as fetching their outputs. */
  readonly accepted: number;
  /** Counts one more, until what it returns is called. */
  accept(): () => void;
  /** A failure sets it aside for a while, each further one for longer. */
  readonly setAside: "no" | "for-a-while" | "for-long";
  fail(): void;
  succeed(): void;
  /** Resolves when programs can be started there. @throws (rejects) CannotConnect and its neighbours */
  connect(): Promise<void>;
  /** A conversation that nobody else uses. @param onLog told of what is printed there meanwhile */
  converse(onLog: (chunk: Uint8Array) => void): Promise<Conversation>;
  /** Resolves with a slot taken, and what gives it back; those who came first have theirs first. @throws (rejects) the signal's reason */
  takeSlot(signal: AbortSignal): Promise<() => void>;
  close(): void;
}

export interface Conversation {
  readonly remote: RemoteStore;
  /** For the next build, if it is in order; else it is ended. */
  giveBack(state: "usable" | "broken"): void;
}

/** Milliseconds that a machine is set aside after its first failure, and at most. */
const firstPause = 10_000;
const longestPause = 300_000;
/** Failures in a row after which nobody waits for the machine. */
const patience = 3;
/** Milliseconds between two looks whether another process has given a slot back. */
const slotPollInterval = 200;
/** Conversations without work that are kept: the next build finds one. */
const maxIdle = 16;

export interface MachineContext {
  readonly storeDir: StoreDir;
  readonly slotDirectory: string;
  readonly slotPrefix: string;
  readonly connection: ConnectionOptions;
}

/** @throws BadStoreUri for a machine that ssh does not reach */
export function builderMachine(machine: Machine, context: MachineContext): BuilderMachine {
  const address = machineAddress(machine);
  const slots = machineSlots(context.slotDirectory, context.slotPrefix, machine.maxJobs);
  const waiting: { resolve: (giveBack: () => void) => void; signal: AbortSignal }[] = [];
  let idle: { remote: RemoteStore; listen(onLog: (chunk: Uint8Array) => void): void }[] = [];
  let connections: MachineConnections | undefined;
  let connected: Promise<void> | undefined;
  let accepted = 0;
  let failures = 0;
  let asideUntil = 0;
  let poll: NodeJS.Timeout | undefined;

  function machineConnection(): MachineConnections {
    connections ??= machineConnections(address, context.connection);
    return connections;
  }

  async function open(): Promise<(typeof idle)[number]> {
    let onLog: (chunk: Uint8Array) => void = () => {};
    const remote = await openConversation(machineConnection(), address, context.storeDir, (chunk) => onLog(chunk));
    return {
      remote,
      listen(listener) {
        onLog = listener;
      },
    };
  }

  /** Hands free slots to those who wait. */
  function serveWaiting(): void {
    while (waiting.length > 0) {
      if (waiting[0]!.signal.aborted) {
        waiting.shift();
        continue;
      }
      const giveBack = slots.tryTake();
      if (giveBack === undefined) break;
      waiting.shift()!.resolve(() => {
        giveBack();
        serveWaiting();
      });
    }
    if (waiting.length === 0) {
      clearInterval(poll);
      poll = undefined;
    } else poll ??= setInterval(serveWaiting, slotPollInterval);
  }

  return {
    machine,
    slots,
    pending: new Map(),
    get accepted() {
      return accepted;
    },
    accept() {
      accepted++;
      let isCounted = true;
      return () => {
        if (isCounted) accepted--;
        isCounted = false;
      };
    },
    get setAside() {
      if (Date.now() >= asideUntil) return "no";
      return failures < patience ? "for-a-while" : "for-long";
    },
    fail() {
      asideUntil = Date.now() + Math.min(longestPause, firstPause * 3 ** failures);
      failures++;
      connected = undefined;
    },
    succeed() {
      failures = 0;
      asideUntil = 0;
    },
    connect() {
      connected ??= open().then((conversation) => void idle.push(conversation));
      return connected;
    },
    async converse(onLog) {
      const conversation = idle.pop() ?? (await open());
      conversation.listen(onLog);
      return {
        remote: conversation.remote,
        giveBack(state) {
          conversation.listen(() => {});
          if (state === "usable" && idle.length < maxIdle) idle.push(conversation);
          else conversation.remote.close();
        },
      };
    },
    takeSlot(signal) {
      signal.throwIfAborted();
      return new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        waiting.push({ resolve, signal });
        serveWaiting();
      });
    },
    close() {
      clearInterval(poll);
      for (const { remote } of idle) remote.close();
      idle = [];
      connections?.close();
    },
  };
}

/** The machine's URI with its own key and host key. */
function machineAddress({ uri, sshKey, hostKey }: Machine): RemoteStoreAddress {
  const address = parseStoreUri(uri);
  return { ...address, sshKey: address.sshKey ?? sshKey, hostKey: address.hostKey ?? hostKey };
}
