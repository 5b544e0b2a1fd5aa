/** The program that a Nix starts to build on other machines: one request after the other, until one is accepted and built. */
import { SiloError } from "../../error.ts";
import { isEligible, type MachineRequirements } from "../../formats/machines.ts";
import { knownOutputPath } from "../../formats/derivation/derivation.ts";
import type { StorePath } from "../../formats/store-path.ts";
import type { ServeBuildSettings } from "../../formats/serve-protocol/commands.ts";
import { computeClosure } from "../../store/closure.ts";
import { type LocalStore, showPath } from "../../store/local-store.ts";
import { isValidPath, queryDerivationOutputs } from "../../store/queries.ts";
import { readDerivation } from "../../store/read-derivation.ts";
import type { BuilderMachine } from "../builders/builder-machine.ts";
import { choose } from "../builders/machine-hook.ts";
import { buildRemotely } from "../builders/remote-build.ts";
import type { AcceptedBuild, CallerRequest, HookCaller } from "./caller.ts";

export interface HookOptions {
  readonly store: LocalStore;
  readonly caller: HookCaller;
  readonly machines: readonly BuilderMachine[];
  readonly settings: ServeBuildSettings;
  readonly substitute: "use" | "no";
  /** Could the caller's own machine do the build, if it had a slot? */
  canBuildHere(requirements: MachineRequirements): boolean;
}

/** Nix's meanings. */
const exitStatuses = { built: 0, permanent: 100, "timed-out": 101, misc: 1 } as const;

/** The exit status that tells the caller how it went. */
export async function runHook(options: HookOptions): Promise<number> {
  const { caller, machines } = options;
  for (;;) {
    const request = caller.nextRequest();
    if (request === undefined) return 0;
    if (machines.length === 0) {
      caller.declineForGood();
      return 0;
    }
    const taken = await take(options, request);
    if (taken === "decline") caller.decline();
    else if (taken === "postpone") caller.postpone();
    else return build(options, taken, request);
  }
}

interface Taken {
  readonly machine: BuilderMachine;
  giveBack(): void;
}

async function take(options: HookOptions, request: CallerRequest): Promise<Taken | "decline" | "postpone"> {
  const requirements: MachineRequirements = request;
  const eligible = options.machines.filter(({ machine }) => machine.maxJobs > 0 && isEligible(machine, requirements));
  const isWilling = request.amWilling && options.canBuildHere(requirements);
  for (;;) {
    const machine = choose(eligible, "free-slot");
    const giveBack = machine?.slots.tryTake();
    if (machine === undefined) {
      // One that failed may be back later; a caller that can build by itself does not wait for that.
      const isHopeless = eligible.every(({ setAside }) => setAside !== "no");
      return isWilling || isHopeless ? "decline" : "postpone";
    }
    if (giveBack === undefined) continue; // somebody else was faster
    try {
      await machine.connect();
      return { machine, giveBack };
    } catch (error) {
      giveBack();
      if (!(error instanceof SiloError)) throw error;
      machine.fail();
      options.caller.say(`cannot build on '${machine.machine.uri}': ${error.message}`);
    }
  }
}

async function build(options: HookOptions, { machine, giveBack }: Taken, request: CallerRequest): Promise<number> {
  const { store, caller, settings, substitute } = options;
  const { uri } = machine.machine;
  const accepted = caller.accept(uri, request);
  const conversation = await machine.converse((chunk) => caller.writeLog(chunk));
  try {
    const { drvPath } = request;
    const derivation = readDerivation(store.storeDir, store.realStoreDir, drvPath);
    const outputs = [...derivation.outputs].flatMap(([name, output]) => {
      const path = knownOutputPath(output);
      if (path === undefined || isValidPath(store, path)) return [];
      const isWanted =
        "names" in accepted.outputs ? accepted.outputs.names.has(name) : accepted.outputs.paths.has(path);
      return isWanted ? [path] : [];
    });
    const place = {
      remote: conversation.remote,
      pending: machine.pending,
      substitute,
      takeSlot: async () => giveBack,
    };
    const inputs = neededInputs(store, derivation.inputSrcs, derivation.inputDrvs, accepted);
    const task = { drvPath, derivation, inputs, outputs, settings };
    const outcome = await buildRemotely(store, place, task, (text) => caller.writeLog(Buffer.from(text, "latin1")));
    if (outcome.kind !== "built") caller.say(`error: builder for '${showPath(store, drvPath)}' ${outcome.reason}`);
    return exitStatuses[outcome.kind];
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    caller.say(`error: building on '${uri}' failed: ${error.message}`);
    return exitStatuses.misc;
  } finally {
    giveBack();
    conversation.giveBack("broken");
    machine.close();
  }
}

/** Nix 1.7 names the derivation's closure, too, which the other machine does not need. */
function neededInputs(
  store: LocalStore,
  sources: Iterable<StorePath>,
  derivations: ReadonlyMap<StorePath, ReadonlySet<string>>,
  { inputs, outputs }: AcceptedBuild,
): readonly StorePath[] {
  if ("names" in outputs) return inputs;
  const starts = new Set(sources);
  for (const [drvPath, names] of derivations) {
    for (const [name, path] of queryDerivationOutputs(store, drvPath)) if (names.has(name)) starts.add(path);
  }
  return computeClosure(store, starts);
}
