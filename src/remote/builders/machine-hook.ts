/**
 * Building on other machines, in the scheduler's own process: many builds on one connection a machine. A build is accepted
 * when a machine has a slot free, and some more are accepted meanwhile, which send their inputs while others build.
 */
import type { ByteString } from "../../formats/byte-string.ts";
import { bestMachine, isEligible } from "../../formats/machines.ts";
import type { ServeBuildSettings } from "../../formats/serve-protocol/commands.ts";
import type { Settings } from "../../formats/settings/settings.ts";
import { SiloError } from "../../error.ts";
import type { BuildHook, HookReply, HookRequest } from "../../store/build-hook.ts";
import type { LocalStore } from "../../store/local-store.ts";
import { InvalidPath } from "../../store/path-info.ts";
import { UnsupportedFile } from "../../store/tree/walk.ts";
import { isSystemError } from "../../sys/system-error.ts";
import type { BuilderMachine } from "./builder-machine.ts";
import { type BuildOutcome, type BuildTask, buildRemotely } from "./remote-build.ts";
import { isForMachines, requirementsOf } from "./requirements.ts";

/** Builds of a machine that send their inputs while all of its slots are taken: as many as it has slots, at most. */
const maxAhead = 8;
/** Machines that one build is tried on. */
const maxAttempts = 3;

export function machineHook(store: LocalStore, machines: readonly BuilderMachine[]): BuildHook {
  const { reporter } = store;
  const warn = (text: string) => reporter.message("warning", `warning: ${text}`);
  let isClosed = false;

  async function ask(request: HookRequest): Promise<HookReply> {
    const { derivation, localSlot } = request;
    if (!isForMachines(derivation)) return { kind: "decline" };
    const eligible = eligibleFor(machines, derivation);
    if (eligible.length === 0) return { kind: "decline" };
    for (;;) {
      const choice = choose(eligible, localSlot === "free" ? "free-slot" : "queue");
      if (choice === undefined) return nobody(eligible, localSlot);
      const uncount = choice.accept();
      try {
        await choice.connect();
        return accept(request, eligible, choice, uncount);
      } catch (error) {
        uncount();
        reportFailure(choice, error);
      }
    }
  }

  function reportFailure(choice: BuilderMachine, error: unknown): void {
    if (!(error instanceof SiloError)) throw error;
    choice.fail();
    warn(`cannot build on '${choice.machine.uri}': ${error.message}`);
  }

  function nobody(eligible: readonly BuilderMachine[], localSlot: HookRequest["localSlot"]): HookReply {
    // A machine that keeps failing is not worth waiting for; then it is the scheduler that says that nobody can build this.
    const isHopeless = eligible.every(({ setAside }) => setAside === "for-long");
    return { kind: localSlot === "free" || isHopeless ? "decline" : "postpone" };
  }

  function accept(
    request: HookRequest,
    eligible: readonly BuilderMachine[],
    first: BuilderMachine,
    uncountFirst: () => void,
  ): HookReply {
    const { drvPath, derivation, inputs, outputs } = request;
    const task = { drvPath, derivation, inputs, outputs, settings: buildSettings(store.settings) };
    return {
      kind: "accept",
      machine: first.machine.uri,
      async run(onLog, signal) {
        let choice = first;
        let uncount = uncountFirst;
        for (let attempt = 1; ; attempt++) {
          try {
            const outcome = await buildOn(store, choice, uncount, task, onLog, signal);
            choice.succeed();
            return outcome;
          } catch (error) {
            if (signal.aborted || isClosed || isOurs(error)) throw error;
            reportFailure(choice, error);
            const next = attempt < maxAttempts ? choose(eligible, "queue") : undefined;
            if (next === undefined) {
              return { kind: "misc", reason: `failed on '${choice.machine.uri}': ${(error as SiloError).message}` };
            }
            uncount();
            choice = next;
            uncount = choice.accept();
          }
        }
      },
    };
  }

  return {
    ask,
    close() {
      isClosed = true;
      for (const machine of machines) machine.close();
    },
  };
}

/** Those that may do the build at all, whether they can be reached or not. */
export function eligibleFor(
  machines: readonly BuilderMachine[],
  derivation: HookRequest["derivation"],
): BuilderMachine[] {
  const requirements = requirementsOf(derivation);
  return machines.filter(({ machine }) => machine.maxJobs > 0 && isEligible(machine, requirements));
}

/** The best machine with a free slot, else, for `queue`, the one with the least to do before it has one. */
export function choose(eligible: readonly BuilderMachine[], wanted: "free-slot" | "queue"): BuilderMachine | undefined {
  const usable = eligible
    .filter(({ setAside }) => setAside === "no")
    .map((choice) => {
      // What was accepted here and has no slot yet will take one.
      const load = Math.max(choice.slots.load(), choice.accepted);
      return { choice, machine: choice.machine, load };
    });
  const free = usable.filter(({ machine, load }) => load < machine.maxJobs);
  const best = bestMachine(free);
  if (best !== undefined || wanted === "free-slot") return best?.choice;
  return bestMachine(
    usable.filter(({ choice, machine }) => choice.accepted < machine.maxJobs + Math.min(machine.maxJobs, maxAhead)),
  )?.choice;
}

/** @param uncount called at the latest when it is over */
async function buildOn(
  store: LocalStore,
  choice: BuilderMachine,
  uncount: () => void,
  task: BuildTask,
  onLog: (bytes: Uint8Array) => void,
  signal: AbortSignal,
): Promise<BuildOutcome> {
  try {
    return await buildInConversation(store, choice, uncount, task, onLog, signal);
  } finally {
    uncount();
  }
}

async function buildInConversation(
  store: LocalStore,
  choice: BuilderMachine,
  uncount: () => void,
  task: BuildTask,
  onLog: (bytes: Uint8Array) => void,
  signal: AbortSignal,
): Promise<BuildOutcome> {
  const conversation = await choice.converse(onLog);
  let state: "usable" | "broken" = "broken";
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {});
  const abort = () => {
    conversation.giveBack("broken"); // ends the build over there
    aborted.reject(signal.reason);
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    const place = {
      remote: conversation.remote,
      pending: choice.pending,
      substitute: store.settings.get("builders-use-substitutes") ? ("use" as const) : ("no" as const),
      async takeSlot() {
        const giveBackSlot = await choice.takeSlot(signal);
        let isTaken = true;
        const giveBack = () => {
          if (isTaken) giveBackSlot();
          isTaken = false;
          uncount();
        };
        // Nobody waits for what a machine that hangs makes of it.
        if (signal.aborted) giveBack();
        else signal.addEventListener("abort", giveBack, { once: true });
        return giveBack;
      },
    };
    const log = (text: ByteString) => onLog(Buffer.from(text, "latin1"));
    const outcome = await Promise.race([buildRemotely(store, place, task, log), aborted.promise]);
    state = "usable";
    return outcome;
  } finally {
    signal.removeEventListener("abort", abort);
    if (!signal.aborted) conversation.giveBack(state);
  }
}

/** Something went wrong here, and no other machine will change that. */
function isOurs(error: unknown): boolean {
  return isSystemError(error) || error instanceof InvalidPath || error instanceof UnsupportedFile;
}

export function buildSettings(settings: Settings): ServeBuildSettings {
  return {
    maxSilentTimeSec: settings.get("max-silent-time"),
    buildTimeoutSec: settings.get("timeout"),
    maxLogSize: settings.get("max-build-log-size"),
    repeats: 0,
    enforceDeterminism: settings.get("enforce-determinism"),
    keepFailed: settings.get("keep-failed"),
  };
}
